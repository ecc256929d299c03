"""What the big mail systems call the folders for sent mail, drafts, trash, junk and archive.

Servers without SPECIAL-USE (RFC 6154) tell a folder's role by its name alone, in the language of
whoever set the mailbox up (failure-modes E12). The table holds the names that Outlook and
Exchange, Thunderbird, Apple Mail, Gmail, Horde, Roundcube, Alpine and large hosters give, by
language. A name never stands for two roles; one that could (`Lixo eletrônico` is junk, `Lixo`
alone is trash) stands where the big systems of that language put it. Words for the outbox are
left out: what waits to be sent is not sent mail.
"""

import unicodedata
from collections.abc import Mapping
from functools import cache

from mailhaul.core.folder import Role

NAMES: Mapping[str, Mapping[Role, tuple[str, ...]]] = {
    "en": {
        Role.SENT: (
            "Sent",
            "Sent Items",
            "Sent Messages",
            "Sent Mail",
            "sent-mail",
            "Sent E-Mails",
        ),
        Role.DRAFTS: ("Drafts", "Draft", "Draft Messages", "postponed-msgs", "postponed"),
        Role.TRASH: (
            "Trash",
            "Deleted Items",
            "Deleted Messages",
            "Deleted",
            "Bin",
            "Trash Can",
            "Wastebasket",
        ),
        Role.JUNK: (
            "Junk",
            "Junk E-Mail",
            "Junk Email",
            "Junk Mail",
            "Spam",
            "Bulk Mail",
            "Bulk",
            "Unsolicited",
        ),
        Role.ARCHIVE: ("Archive", "Archives", "Archived"),
    },
    "de": {
        Role.SENT: (
            "Gesendet",
            "Gesendete Elemente",
            "Gesendete Objekte",
            "Gesendete Nachrichten",
            "Gesendete E-Mails",
            "Gesendete Mails",
        ),
        Role.DRAFTS: ("Entwürfe", "Entwurf", "Entwuerfe"),
        Role.TRASH: (
            "Papierkorb",
            "Gelöschte Elemente",
            "Gelöschte Objekte",
            "Gelöschte Nachrichten",
            "Gelöscht",
            "Geloescht",
        ),
        Role.JUNK: ("Junk-E-Mail", "Spamverdacht", "Spam-Verdacht", "Unerwünscht", "Werbung"),
        Role.ARCHIVE: ("Archiv", "Archive"),
    },
    "fr": {
        Role.SENT: (
            "Envoyés",
            "Éléments envoyés",
            "Messages envoyés",
            "Courrier envoyé",
            "Objets envoyés",
            "E-mails envoyés",
            "Envoyé",
        ),
        Role.DRAFTS: ("Brouillons", "Brouillon"),
        Role.TRASH: ("Corbeille", "Éléments supprimés", "Messages supprimés", "Poubelle"),
        Role.JUNK: (
            "Courrier indésirable",
            "Indésirables",
            "Indésirable",
            "Messages indésirables",
            "Pourriel",
            "Pourriels",
        ),
        Role.ARCHIVE: ("Archives", "Archive", "Messages archivés"),
    },
    "es": {
        Role.SENT: (
            "Enviados",
            "Elementos enviados",
            "Mensajes enviados",
            "Correo enviado",
            "Enviado",
        ),
        Role.DRAFTS: ("Borradores", "Borrador"),
        Role.TRASH: (
            "Papelera",
            "Elementos eliminados",
            "Mensajes eliminados",
            "Eliminados",
            "Papelera de reciclaje",
        ),
        Role.JUNK: (
            "Correo no deseado",
            "Correo electrónico no deseado",
            "Correo basura",
            "No deseado",
        ),
        Role.ARCHIVE: ("Archivo", "Archivados", "Archivos"),
    },
    "pt": {
        Role.SENT: (
            "E-mails enviados",
            "Enviados",
            "Enviadas",
            "Itens enviados",
            "Mensagens enviadas",
            "Correio enviado",
        ),
        Role.DRAFTS: ("Rascunhos", "Rascunho"),
        Role.TRASH: (
            "Lixeira",
            "Itens excluídos",
            "Itens eliminados",
            "Mensagens excluídas",
            "Mensagens apagadas",
            "Reciclagem",
            "Lixo",
        ),
        Role.JUNK: (
            "Lixo eletrônico",
            "Lixo eletrónico",
            "Lixo electrónico",
            "E-mail de lixo",
            "Email de lixo",
            "Correio não solicitado",
            "Publicidade não solicitada",
        ),
        Role.ARCHIVE: ("Arquivo", "Arquivo morto", "Arquivos", "Arquivar", "Arquivadas"),
    },
    "it": {
        Role.SENT: (
            "Posta inviata",
            "Inviati",
            "Inviata",
            "Messaggi inviati",
            "Elementi inviati",
        ),
        Role.DRAFTS: ("Bozze", "Bozza"),
        Role.TRASH: (
            "Cestino",
            "Posta eliminata",
            "Messaggi eliminati",
            "Elementi eliminati",
            "Eliminati",
        ),
        Role.JUNK: ("Posta indesiderata", "Indesiderata", "Posta spazzatura"),
        Role.ARCHIVE: ("Archivio", "Archivi"),
    },
    "nl": {
        Role.SENT: (
            "Verzonden",
            "Verzonden items",
            "Verzonden berichten",
            "Verzonden e-mail",
            "Verstuurd",
        ),
        Role.DRAFTS: ("Concepten", "Concept"),
        Role.TRASH: (
            "Prullenbak",
            "Verwijderde items",
            "Verwijderde berichten",
            "Verwijderd",
            "Prullenmand",
        ),
        Role.JUNK: ("Ongewenste e-mail", "Ongewenste post", "Ongewenst", "Ongewenste reclame"),
        Role.ARCHIVE: ("Archief", "Archieven"),
    },
    "da": {
        Role.SENT: ("Sendt", "Sendt post", "Sendte elementer", "Sendte beskeder", "Sendte"),
        Role.DRAFTS: ("Kladder", "Kladde", "Udkast"),
        Role.TRASH: (
            "Papirkurv",
            "Slettet post",
            "Slettede elementer",
            "Slettede beskeder",
            "Slettet",
        ),
        Role.JUNK: ("Uønsket mail", "Uønsket post", "Uønskede mails", "Uønsket e-mail", "Uønsket"),
        Role.ARCHIVE: ("Arkiv", "Arkiver"),
    },
    "sv": {
        Role.SENT: ("Skickat", "Skickade objekt", "Skickade meddelanden", "Skickade"),
        Role.DRAFTS: ("Utkast",),
        Role.TRASH: (
            "Papperskorgen",
            "Papperskorg",
            "Borttaget",
            "Borttagna objekt",
            "Borttagna meddelanden",
        ),
        Role.JUNK: ("Skräppost", "Skräp", "Oönskad post"),
        Role.ARCHIVE: ("Arkiv", "Arkiverade"),
    },
    "nb": {
        Role.SENT: ("Sendt", "Sendte elementer", "Sendte meldinger", "Sendt e-post"),
        Role.DRAFTS: ("Utkast", "Kladd", "Kladder"),
        Role.TRASH: ("Papirkurv", "Slettede elementer", "Slettede meldinger", "Slettede"),
        Role.JUNK: ("Søppelpost", "Søppel-e-post", "Uønsket e-post", "Nettsøppel"),
        Role.ARCHIVE: ("Arkiv",),
    },
    "fi": {
        Role.SENT: ("Lähetetyt", "Lähetetyt viestit", "Lähetetyt kohteet", "Lähetetty"),
        Role.DRAFTS: ("Luonnokset", "Luonnos"),
        Role.TRASH: ("Roskakori", "Poistetut", "Poistetut viestit", "Poistetut kohteet"),
        Role.JUNK: ("Roskaposti", "Roskapostit", "Roskasähköposti"),
        Role.ARCHIVE: ("Arkisto", "Arkistot"),
    },
    "is": {
        Role.SENT: ("Sendur póstur", "Send atriði", "Send skeyti", "Sent"),
        Role.DRAFTS: ("Drög",),
        Role.TRASH: ("Ruslafata", "Ruslakista", "Eydd atriði", "Eytt"),
        Role.JUNK: ("Ruslpóstur",),
        Role.ARCHIVE: ("Safnmappa",),
    },
    "pl": {
        Role.SENT: ("Wysłane", "Elementy wysłane", "Wiadomości wysłane", "Wysłane wiadomości"),
        Role.DRAFTS: ("Szkice", "Kopie robocze", "Wersje robocze", "Robocze"),
        Role.TRASH: ("Kosz", "Elementy usunięte", "Usunięte", "Usunięte wiadomości"),
        Role.JUNK: ("Wiadomości-śmieci", "Wiadomości śmieci", "Niechciane", "Niechciana poczta"),
        Role.ARCHIVE: ("Archiwum", "Archiwa"),
    },
    "cs": {
        Role.SENT: ("Odeslané", "Odeslaná pošta", "Odeslané položky", "Odeslané zprávy"),
        Role.DRAFTS: ("Koncepty", "Rozepsané", "Rozepsané zprávy"),
        Role.TRASH: ("Koš", "Odstraněná pošta", "Odstraněné položky", "Odstraněné", "Smazané"),
        Role.JUNK: ("Nevyžádaná pošta", "Nevyžádané", "Hromadné"),
        Role.ARCHIVE: ("Archiv", "Archivy"),
    },
    "sk": {
        Role.SENT: ("Odoslané", "Odoslaná pošta", "Odoslané položky", "Odoslané správy"),
        Role.DRAFTS: ("Koncepty", "Rozpísané"),
        Role.TRASH: ("Kôš", "Odstránená pošta", "Odstránené položky", "Odstránené", "Vymazané"),
        Role.JUNK: ("Nevyžiadaná pošta", "Nevyžiadané"),
        Role.ARCHIVE: ("Archív", "Archívy"),
    },
    "hu": {
        Role.SENT: (
            "Elküldött",
            "Elküldött elemek",
            "Elküldött üzenetek",
            "Elküldött levelek",
        ),
        Role.DRAFTS: ("Piszkozatok", "Vázlatok"),
        Role.TRASH: ("Kuka", "Lomtár", "Törölt elemek", "Törölt üzenetek", "Törölt", "Szemetes"),
        Role.JUNK: ("Levélszemét", "Kéretlen levelek", "Kéretlen"),
        Role.ARCHIVE: ("Archívum", "Archívumok"),
    },
    "ro": {
        Role.SENT: ("Trimise", "Elemente trimise", "Mesaje trimise", "E-mailuri trimise"),
        Role.DRAFTS: ("Ciorne", "Schițe"),
        Role.TRASH: ("Coș de gunoi", "Coşul de gunoi", "Elemente șterse", "Șterse"),
        Role.JUNK: ("Mesaje nedorite", "E-mail nedorit", "Nedorite"),
        Role.ARCHIVE: ("Arhivă", "Arhive"),
    },
    "bg": {
        Role.SENT: ("Изпратени", "Изпратена поща", "Изпратени елементи", "Изпратени съобщения"),
        Role.DRAFTS: ("Чернови",),
        Role.TRASH: ("Кошче", "Изтрити", "Изтрити елементи"),
        Role.JUNK: ("Нежелана поща", "Нежелани", "Спам"),
        Role.ARCHIVE: ("Архив",),
    },
    "ru": {
        Role.SENT: ("Отправленные", "Отправленное", "Отправленные элементы"),
        Role.DRAFTS: ("Черновики", "Черновик"),
        Role.TRASH: (
            "Корзина",
            "Удаленные",
            "Удалённые",
            "Удаленные элементы",
            "Удалённые элементы",
        ),
        Role.JUNK: ("Спам", "Нежелательная почта", "Нежелательные"),
        Role.ARCHIVE: ("Архив", "Архивы"),
    },
    "uk": {
        Role.SENT: ("Надіслані", "Відправлені", "Надіслані елементи"),
        Role.DRAFTS: ("Чернетки",),
        Role.TRASH: ("Кошик", "Видалені", "Видалені елементи", "Смітник"),
        Role.JUNK: ("Спам", "Небажана пошта", "Небажані"),
        Role.ARCHIVE: ("Архів", "Архіви"),
    },
    "el": {
        Role.SENT: ("Απεσταλμένα", "Απεσταλμένα στοιχεία", "Απεσταλμένα μηνύματα"),
        Role.DRAFTS: ("Πρόχειρα",),
        Role.TRASH: (
            "Κάδος απορριμμάτων",
            "Κάδος",
            "Διαγραμμένα",
            "Διαγραμμένα στοιχεία",
            "Απορρίμματα",
        ),
        Role.JUNK: ("Ανεπιθύμητα", "Ανεπιθύμητη αλληλογραφία", "Ανεπιθύμητα μηνύματα"),
        Role.ARCHIVE: ("Αρχειοθήκη", "Αρχείο"),
    },
    "tr": {
        Role.SENT: (
            "Gönderilmiş",
            "Gönderilenler",
            "Gönderilmiş Öğeler",
            "Gönderilmiş Postalar",
            "Gönderilmiş Mesajlar",
        ),
        Role.DRAFTS: ("Taslaklar", "Taslak"),
        Role.TRASH: ("Çöp Kutusu", "Çöp", "Silinmiş Öğeler", "Silinmiş", "Silinenler"),
        Role.JUNK: ("Önemsiz E-posta", "Önemsiz", "Gereksiz", "Gereksiz E-posta"),
        Role.ARCHIVE: ("Arşiv", "Arşivler"),
    },
    "he": {
        Role.SENT: ("נשלח", "פריטים שנשלחו", "דואר שנשלח"),
        Role.DRAFTS: ("טיוטות",),
        Role.TRASH: ("אשפה", "פריטים שנמחקו", "פח אשפה"),
        Role.JUNK: ("דואר זבל", "ספאם"),
        Role.ARCHIVE: ("ארכיון",),
    },
    "ar": {
        Role.SENT: ("العناصر المرسلة", "البريد المرسل", "المرسلة", "المرسل"),
        Role.DRAFTS: ("المسودات", "مسودات"),
        Role.TRASH: ("العناصر المحذوفة", "سلة المهملات", "المهملات", "المحذوفة"),
        Role.JUNK: ("البريد الإلكتروني غير الهام", "البريد غير المرغوب فيه", "بريد غير هام"),
        Role.ARCHIVE: ("الأرشيف", "أرشيف"),
    },
    "zh-Hans": {
        Role.SENT: ("已发送", "已发送邮件", "已发送的邮件", "已发邮件"),
        Role.DRAFTS: ("草稿", "草稿箱", "草稿夹"),
        Role.TRASH: ("已删除邮件", "已删除", "已删除的邮件", "回收站", "废纸篓"),
        Role.JUNK: ("垃圾邮件",),
        Role.ARCHIVE: ("存档", "归档"),
    },
    "zh-Hant": {
        Role.SENT: ("寄件備份", "已傳送", "已傳送的郵件", "已寄出的郵件"),
        Role.DRAFTS: ("草稿", "草稿匣"),
        Role.TRASH: ("刪除的郵件", "已刪除的郵件", "已刪除", "垃圾桶"),
        Role.JUNK: ("垃圾郵件", "垃圾電子郵件", "垃圾信件匣"),
        Role.ARCHIVE: ("封存", "歸檔"),
    },
    "ja": {
        Role.SENT: (
            "送信済み",
            "送信済みアイテム",
            "送信済みトレイ",
            "送信済みメール",
            "送信済みメッセージ",
        ),
        Role.DRAFTS: ("下書き",),
        Role.TRASH: ("ゴミ箱", "ごみ箱", "削除済みアイテム", "削除済み", "削除済みメッセージ"),
        Role.JUNK: ("迷惑メール",),
        Role.ARCHIVE: ("アーカイブ",),
    },
    "ko": {
        Role.SENT: ("보낸 편지함", "보낸편지함", "보낸 메일함", "보낸메일함"),
        Role.DRAFTS: ("임시 보관함", "임시보관함", "초안"),
        Role.TRASH: ("휴지통", "지운 편지함", "지운편지함", "삭제된 항목"),
        Role.JUNK: ("정크 메일", "정크메일", "스팸", "스팸함", "스팸메일함", "스팸편지함"),
        Role.ARCHIVE: ("보관", "아카이브"),
    },
    "th": {
        Role.SENT: ("รายการที่ถูกส่ง", "จดหมายที่ส่งแล้ว", "ส่งแล้ว"),
        Role.DRAFTS: ("แบบร่าง", "จดหมายร่าง"),
        Role.TRASH: ("รายการที่ถูกลบ", "ถังขยะ"),
        Role.JUNK: ("อีเมลขยะ", "จดหมายขยะ", "สแปม"),
        Role.ARCHIVE: ("เก็บถาวร", "ที่เก็บถาวร"),
    },
    "vi": {
        Role.SENT: ("Thư đã gửi", "Mục đã gửi", "Đã gửi"),
        Role.DRAFTS: ("Thư nháp", "Bản nháp", "Nháp"),
        Role.TRASH: ("Thùng rác", "Mục đã xóa", "Đã xóa"),
        Role.JUNK: ("Thư rác", "Email rác"),
        Role.ARCHIVE: ("Lưu trữ",),
    },
    "id": {
        Role.SENT: ("Terkirim", "Item Terkirim", "Surat Terkirim", "Pesan Terkirim"),
        Role.DRAFTS: ("Draf", "Konsep"),
        Role.TRASH: ("Sampah", "Tong Sampah", "Kotak Sampah", "Item Terhapus", "Item Dihapus"),
        Role.JUNK: ("Email Sampah", "Surat Sampah"),
        Role.ARCHIVE: ("Arsip",),
    },
    "hr": {
        Role.SENT: ("Poslano", "Poslane stavke", "Poslana pošta", "Poslane poruke"),
        Role.DRAFTS: ("Skice", "Nacrti"),
        Role.TRASH: ("Smeće", "Otpad", "Izbrisane stavke", "Izbrisano"),
        Role.JUNK: ("Bezvrijedna pošta", "Neželjena pošta", "Neželjena e-pošta"),
        Role.ARCHIVE: ("Arhiva", "Arhive"),
    },
    "sr": {
        Role.SENT: ("Послато", "Poslato", "Послате ставке", "Poslate stavke"),
        Role.DRAFTS: ("Нацрти", "Nacrti", "Радне верзије", "Radne verzije"),
        Role.TRASH: ("Отпад", "Otpad", "Смеће", "Избрисане ставке", "Izbrisane stavke"),
        Role.JUNK: ("Нежељена пошта", "Neželjena pošta", "Непожељно", "Nepoželjno"),
        Role.ARCHIVE: ("Архива", "Arhiva"),
    },
    "sl": {
        Role.SENT: ("Poslano", "Poslana pošta", "Poslani elementi", "Poslana sporočila"),
        Role.DRAFTS: ("Osnutki",),
        Role.TRASH: ("Smeti", "Izbrisano", "Izbrisani elementi", "Koš"),
        Role.JUNK: ("Neželena pošta", "Neželena e-pošta", "Vsiljena pošta"),
        Role.ARCHIVE: ("Arhiv", "Arhivi"),
    },
    "et": {
        Role.SENT: ("Saadetud", "Saadetud kirjad", "Saadetud üksused"),
        Role.DRAFTS: ("Mustandid",),
        Role.TRASH: ("Prügikast", "Prügi", "Kustutatud üksused", "Kustutatud kirjad"),
        Role.JUNK: ("Rämpspost",),
        Role.ARCHIVE: ("Arhiiv",),
    },
    "lv": {
        Role.SENT: ("Nosūtītie", "Nosūtītās", "Nosūtītie vienumi", "Nosūtītās vēstules"),
        Role.DRAFTS: ("Melnraksti",),
        Role.TRASH: ("Miskaste", "Atkritne", "Dzēstie vienumi", "Izdzēstie vienumi"),
        Role.JUNK: ("Mēstules", "Surogātpasts", "Nevēlamais e-pasts"),
        Role.ARCHIVE: ("Arhīvs", "Arhīvi"),
    },
    "lt": {
        Role.SENT: ("Išsiųsti", "Išsiųsta", "Išsiųstieji", "Išsiųsti laiškai"),
        Role.DRAFTS: ("Juodraščiai",),
        Role.TRASH: ("Šiukšlinė", "Šiukšliadėžė", "Panaikinti elementai", "Ištrinti"),
        Role.JUNK: ("Brukalas", "Nepageidaujamas paštas", "Šlamštas"),
        Role.ARCHIVE: ("Archyvas", "Archyvai"),
    },
    "ca": {
        Role.SENT: ("Enviats", "Elements enviats", "Missatges enviats", "Enviat"),
        Role.DRAFTS: ("Esborranys", "Esborrany"),
        Role.TRASH: ("Paperera", "Elements suprimits", "Suprimits"),
        Role.JUNK: ("Correu brossa", "Correu no desitjat", "Brossa"),
        Role.ARCHIVE: ("Arxiu", "Arxius"),
    },
    "eu": {
        Role.SENT: ("Bidalita", "Bidalitakoak", "Bidalitako elementuak"),
        Role.DRAFTS: ("Zirriborroak",),
        Role.TRASH: ("Zakarrontzia", "Ezabatutako elementuak"),
        Role.JUNK: ("Zabor-posta", "Zaborra"),
        Role.ARCHIVE: ("Artxiboa",),
    },
    "gl": {
        Role.SENT: ("Correo enviado", "Mensaxes enviadas", "Enviado"),
        Role.DRAFTS: ("Rascuños",),
        Role.TRASH: ("Papeleira", "Elementos eliminados"),
        Role.JUNK: ("Correo lixo", "Correo non desexado"),
        Role.ARCHIVE: ("Arquivo",),
    },
    "hi": {
        Role.SENT: ("भेजे गए आइटम", "भेजे गए मेल"),
        Role.DRAFTS: ("ड्राफ़्ट",),
        Role.TRASH: ("हटाए गए आइटम", "ट्रैश"),
        Role.JUNK: ("जंक ई-मेल", "स्पैम"),
        Role.ARCHIVE: ("संग्रह",),
    },
}
"""Language tag (BCP 47) to the names it has for each role, the most usual first."""

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—−"), "-") | dict.fromkeys(map(ord, "’‘ʼ´`"), "'")


def normal_name(name: str) -> str:
    """`name` for comparison: width, case, dashes, apostrophes and blanks make no difference."""
    if name.isascii():  # the same by a shorter way
        return " ".join(name.replace("`", "'").lower().split())
    text = unicodedata.normalize("NFKC", name).translate(_DASHES)
    return " ".join(unicodedata.normalize("NFKC", text.casefold()).split())


def learn_names() -> None:
    """Makes what `role_by_name` looks into, which is else made when it is first asked."""
    _ranked()


@cache
def _ranked() -> dict[str, tuple[Role, int]]:
    """Each normal name with its role and rank; within a role a lower rank is the better name.

    English first, as servers and programs that translate nothing use it; then by how usual. Made
    when first asked for: starting up is measured.
    """
    found: dict[str, tuple[Role, int]] = {}
    languages = list(NAMES)
    for position, language in enumerate(languages):
        for role, names in NAMES[language].items():
            for place, name in enumerate(names):
                found.setdefault(normal_name(name), (role, position * 100 + place))
    return found


def role_by_name(name: str) -> tuple[Role, int] | None:
    """The role that a folder called `name` has by custom, and the rank of that name for it (lower
    is better); None when the name says nothing."""
    return _ranked().get(normal_name(name))
