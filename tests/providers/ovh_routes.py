"""The routes of OVHcloud's API that there are for us, in a small notation: all else is refused.

`METHOD path ?query:type … {field*:type …} -> type`; `*` is required, `{@Model}` a model's fields;
of a model `!` is read-only; `?` after a type: may be null; `[]`: a list. The new MX Plan, Email Pro
and zones are as in OVHcloud's published OpenAPI files (`test_ovh_routes` compares where those files
are), the older MX Plan and Exchange as in its public reference of routes of 2026-05-17, which has
no such file.
"""

_BESIDE = """
GET {P} -> {service}
GET {P}/account ?id:long ?primaryEmailAddress:string -> string[]
GET {P}/account/{{email}} -> {account}
PUT {P}/account/{{email}} {{@{changes}}} -> void
DELETE {P}/account/{{email}} -> {task}
GET {P}/account/{{email}}/alias -> string[]
POST {P}/account/{{email}}/alias {{alias*:string}} -> {task}
DELETE {P}/account/{{email}}/alias/{{alias}} -> {task}
POST {P}/account/{{email}}/changePassword {{password*:string}} -> {task}
GET {P}/account/{{email}}/fullAccess -> long[]
POST {P}/account/{{email}}/fullAccess {{allowedAccountId*:long}} -> {task}
DELETE {P}/account/{{email}}/fullAccess/{{allowedAccountId}} -> {task}
GET {P}/account/{{email}}/sendAs -> long[]
POST {P}/account/{{email}}/sendAs {{allowAccountId*:long}} -> {task}
DELETE {P}/account/{{email}}/sendAs/{{allowedAccountId}} -> {task}
GET {P}/account/{{email}}/sendOnBehalfTo -> long[]
POST {P}/account/{{email}}/sendOnBehalfTo {{allowAccountId*:long}} -> {task}
DELETE {P}/account/{{email}}/sendOnBehalfTo/{{allowedAccountId}} -> {task}
GET {P}/account/{{email}}/{tasks} -> long[]
GET {P}/account/{{email}}/{tasks}/{{id}} -> {task}
GET {P}/domain ?state:{states} -> string[]
GET {P}/domain/{{domainName}} -> {domain}
PUT {P}/domain/{{domainName}} {{@{mode}}} -> void
GET {P}/domain/{{domainName}}/disclaimer -> {footer}
GET {P}/externalContact ?id:long ?externalEmailAddress:string -> string[]
GET {P}/externalContact/{{externalEmailAddress}} -> {contact}
GET {P}/task -> long[]
GET {P}/task/{{id}} -> {task}
"""

_DOMAINS = """
POST {P}/domain {{autoEnableDKIM:boolean configureAutodiscover:boolean configureDKIM:boolean \
configureMx:boolean configureSPF:boolean mxRelay:string name*:string type*:{types}}} -> {task}
DELETE {P}/domain/{{domainName}} -> {task}
GET {P}/domain/{{domainName}}/dkim -> string[]
GET {P}/domain/{{domainName}}/dkim/{{selectorName}} -> {dkim}
GET {P}/serviceInfos -> services.Service
"""

_EXCHANGE = """
POST {P}/account {{login*:string domain*:string license*:email.exchange.OvhLicenceEnum \
password*:string displayName:string firstName:string lastName:string}} -> {task}
GET {P}/account/{{email}}/protocol -> email.exchange.exchangeAccountProtocol
GET {P}/mailingList -> string[]
POST {P}/mailingList {{mailingListAddress*:string departRestriction*:string \
joinRestriction*:string displayName:string}} -> {task}
GET {P}/mailingList/{{address}} -> email.exchange.mailingList
DELETE {P}/mailingList/{{address}} -> {task}
GET {P}/mailingList/{{address}}/member/account -> long[]
POST {P}/mailingList/{{address}}/member/account \
{{memberAccountId:long memberContactId:long}} -> {task}
GET {P}/mailingList/{{address}}/member/contact -> long[]
POST {P}/mailingList/{{address}}/member/contact \
{{memberAccountId:long memberContactId:long}} -> {task}
GET {P}/resourceAccount -> string[]
GET {P}/sharedAccount -> string[]
GET {P}/publicFolder -> string[]
"""

_LEGACY = """
GET {P} -> email.domain.DomainService
GET {P}/quota -> domain.DomainQuota
GET {P}/summary -> domain.DomainSummary
GET {P}/serviceInfos -> services.Service
GET {P}/recommendedDNSRecords -> email.domain.Record[]
GET {P}/account ?accountName:string ?description:string -> string[]
POST {P}/account {{accountName*:string description:string password*:string size:long}} \
-> email.domain.TaskPop
GET {P}/account/{{name}} -> email.domain.Account
PUT {P}/account/{{name}} {{@email.domain.Account}} -> void
DELETE {P}/account/{{name}} -> email.domain.TaskPop
POST {P}/account/{{name}}/changePassword {{password*:string}} -> email.domain.TaskPop
GET {P}/account/{{name}}/usage -> domain.DomainUsageAccountStruct
GET {P}/account/{{name}}/delegation -> string[]
GET {P}/account/{{name}}/filter -> string[]
POST {P}/account/{{name}}/filter {{action*:domain.DomainFilterActionEnum actionParam:string \
active*:boolean header*:string name*:string operand*:domain.DomainFilterOperandEnum \
priority*:long value*:string}} -> email.domain.TaskFilter
GET {P}/account/{{name}}/filter/{{filter}} -> email.domain.Filter
DELETE {P}/account/{{name}}/filter/{{filter}} -> email.domain.TaskFilter[]
GET {P}/account/{{name}}/filter/{{filter}}/rule -> long[]
GET {P}/account/{{name}}/filter/{{filter}}/rule/{{id}} -> email.domain.Rule
GET {P}/account/{{name}}/migrate ?type:email.domain.MigrationServiceType -> string[]
GET {P}/account/{{name}}/migrate/{{destination}} -> email.domain.MigrationService
GET {P}/account/{{name}}/migrate/{{destination}}/destinationEmailAddress ?quota:long -> string[]
GET {P}/account/{{name}}/migrate/{{destination}}/destinationEmailAddress/{{address}} \
-> email.domain.MigrationAccount
GET {P}/account/{{name}}/migrate/{{destination}}/destinationEmailAddress/{{address}}/checkMigrate \
-> email.domain.MigrationCheckStruct
POST {P}/account/{{name}}/migrate/{{destination}}/destinationEmailAddress/{{address}}/migrate \
{{password*:string}} -> email.domain.TaskPop
GET {P}/mailingList ?name:string -> string[]
GET {P}/redirection ?from:string ?to:string -> string[]
POST {P}/redirection {{from*:string localCopy*:boolean to*:string}} \
-> email.domain.TaskSpecialAccount
GET {P}/redirection/{{id}} -> email.domain.RedirectionGlobal
DELETE {P}/redirection/{{id}} -> email.domain.TaskSpecialAccount
GET {P}/responder ?account:string -> string[]
POST {P}/responder {{account*:string content*:string copy*:boolean copyTo:string from:datetime \
to:datetime}} -> email.domain.TaskSpecialAccount
GET {P}/responder/{{account}} -> email.domain.Responder
DELETE {P}/responder/{{account}} -> email.domain.TaskSpecialAccount
GET {P}/task/account ?name:string -> long[]
GET {P}/task/account/{{id}} -> email.domain.TaskPop
GET {P}/task/filter ?account:string -> long[]
GET {P}/task/filter/{{id}} -> email.domain.TaskFilter
GET {P}/task/redirection ?account:string -> string[]
GET {P}/task/redirection/{{id}} -> email.domain.TaskSpecialAccount
GET {P}/task/responder ?account:string -> long[]
GET {P}/task/responder/{{id}} -> email.domain.TaskSpecialAccount
"""

_REST = """
GET /auth/time -> long
GET /me -> nichandle.Nichandle
GET /domain/zone/{zoneName} -> domain.ZoneWithIAM
GET /domain/zone/{zoneName}/record ?fieldType:domain.zone.RecordTypeEnum ?subDomain:string -> long[]
POST /domain/zone/{zoneName}/record {@domain.zone.RecordCreate} -> domain.zone.Record
GET /domain/zone/{zoneName}/record/{id} -> domain.zone.Record
PUT /domain/zone/{zoneName}/record/{id} {@domain.zone.RecordUpdate} -> void
DELETE /domain/zone/{zoneName}/record/{id} -> void
POST /domain/zone/{zoneName}/refresh -> void
GET /domain/zone/{zoneName}/soa -> domain.zone.Soa
"""

_MXPLAN_NAMES = {
    "P": "/email/mxplan/{service}",
    "tasks": "task",
    "task": "email.pro.Task",
    "states": "email.pro.ObjectStateEnum",
    "service": "email.mxplan.ServiceWithIAM",
    "account": "email.mxplan.Account",
    "changes": "email.mxplan.Account",
    "domain": "email.mxplan.Domain",
    "mode": "email.mxplan.Domain",
    "footer": "email.pro.disclaimer",
    "contact": "email.mxplan.ExternalContact",
}
_PRO_NAMES = _MXPLAN_NAMES | {
    "P": "/email/pro/{service}",
    "tasks": "tasks",
    "types": "email.pro.DomainTypeEnum",
    "service": "email.pro.ServiceNativeWithIAM",
    "account": "email.pro.AccountNative",
    "changes": "email.pro.Account",
    "domain": "email.pro.DomainNative",
    "mode": "email.pro.Domain",
    "footer": "email.pro.disclaimerNative",
    "contact": "email.pro.ExternalContactNative",
    "dkim": "email.pro.Dkim",
}
_EXCHANGE_NAMES = _PRO_NAMES | {
    "P": "/email/exchange/{organization}/service/{service}",
    "task": "email.exchange.Task",
    "states": "email.exchange.ObjectStateEnum",
    "types": "email.pro.DomainTypeEnum",
    "service": "email.exchange.ExchangeService",
    "account": "email.exchange.Account",
    "changes": "email.exchange.Account",
    "domain": "email.exchange.Domain",
    "mode": "email.exchange.Domain",
    "footer": "email.exchange.disclaimer",
    "contact": "email.exchange.externalContact",
}

PUBLISHED = (
    _BESIDE.format(**_MXPLAN_NAMES)
    + _BESIDE.format(**_PRO_NAMES)
    + _DOMAINS.format(**_PRO_NAMES)
    + _REST.replace("GET /auth/time -> long\nGET /me -> nichandle.Nichandle\n", "")
)
"""Those that stand in OVHcloud's OpenAPI files."""

REFERENCE = (
    "GET /auth/time -> long\nGET /me -> nichandle.Nichandle\n"
    + _LEGACY.format(P="/email/domain/{domain}")
    + _BESIDE.format(**_EXCHANGE_NAMES)
    + _DOMAINS.format(**_EXCHANGE_NAMES)
    + _EXCHANGE.format(**_EXCHANGE_NAMES)
)
"""Those that stand in its reference of routes."""

_ACCOUNT = (
    "configured!:boolean currentUsage!:long? displayName:string? domain:string id!:long "
    "login:string primaryEmailAddress!:string state!:{states} taskPendingId!:long?"
)
_NATIVE = (
    "configured!:boolean currentUsage!:long? displayName!:string? domain!:string id!:long "
    "login!:string primaryEmailAddress!:string quota!:long state!:email.pro.ObjectStateEnum "
    "taskPendingId!:long?"
)
_DOMAIN = (
    "cnameToCheck!:string? domainValidated!:boolean mxRelay:string? name!:string "
    "state!:{states} taskPendingId!:long type:email.pro.DomainTypeEnum"
)
_EXPECTED = " expectedAutodiscoverSRV!:string expectedMX!:string[] expectedSPF!:string"
_TASK = (
    "finishDate!:string? function!:string id!:long status!:email.pro.TaskStatusEnum "
    "todoDate!:string"
)
_PRO_STATES = "email.pro.ObjectStateEnum"
_EX_STATES = "email.exchange.ObjectStateEnum"

PUBLISHED_MODELS = f"""
email.pro.ObjectStateEnum = creating deleting ok reopening suspended suspending unknown
email.pro.DomainTypeEnum = authoritative nonAuthoritative
email.pro.TaskStatusEnum = cancelled doing done error todo
email.mxplan.ServiceOfferEnum = MXPLAN
email.pro.ServiceOfferEnum = emailpro
domain.zone.RecordTypeEnum = A AAAA CAA CNAME DKIM DMARC DNAME LOC MX NAPTR NS PTR SPF SRV SSHFP \
TLSA TXT
email.mxplan.ServiceWithIAM : domain!:string hostname!:string? offer!:email.mxplan.ServiceOfferEnum
email.pro.ServiceNativeWithIAM : domain!:string hostname!:string? offer!:email.pro.ServiceOfferEnum
email.mxplan.Account : {_ACCOUNT.format(states=_PRO_STATES)} quota:double
email.pro.Account : {_ACCOUNT.format(states=_PRO_STATES)} quota:long
email.pro.AccountNative : {_NATIVE}
email.mxplan.Domain : {_DOMAIN.format(states=_PRO_STATES)} expectedMX!:string[]
email.pro.Domain : {_DOMAIN.format(states=_PRO_STATES)}
email.pro.DomainNative : cnameToCheck!:string? domainValidated!:boolean mxRelay!:string? \
name!:string state!:email.pro.ObjectStateEnum taskPendingId!:long \
type!:email.pro.DomainTypeEnum{_EXPECTED}
email.pro.Dkim : customerRecord!:string selectorName!:string targetRecord!:string?
email.pro.Task : {_TASK.replace("function!:string", "function!:email.pro.TaskFunctionEnum")}
email.pro.TaskFunctionEnum = addAccount addAlias addDomain addFullAccess addSendAs \
addSendOnBehalfTo changePassword deleteAccount deleteAlias deleteDomain deleteFullAccess \
deleteSendAs deleteSendOnBehalfTo setAccount setDomain
email.pro.disclaimer : content:string
email.pro.disclaimerNative : content!:string
email.mxplan.ExternalContact : externalEmailAddress:string id!:long
email.pro.ExternalContactNative : externalEmailAddress!:string id!:long
services.Service : contactAdmin!:string contactBilling!:string contactTech!:string
domain.ZoneWithIAM : name!:string nameServers!:string[]
domain.zone.Record : fieldType!:domain.zone.RecordTypeEnum id!:long subDomain!:string? \
target!:string ttl!:long? zone!:string
domain.zone.RecordCreate : fieldType*:domain.zone.RecordTypeEnum subDomain:string? target*:string \
ttl:long
domain.zone.RecordUpdate : subDomain:string? target:string ttl:long?
domain.zone.Soa : ttl:long
"""
"""The fields that we read and write; OVHcloud has more."""

REFERENCE_MODELS = f"""
nichandle.Nichandle : nichandle!:string
domain.DomainFilterActionEnum = accept account delete redirect
domain.DomainFilterOperandEnum = checkspf contains noContains
domain.DomainPopActionEnum = addAccount changeAccount changePassword deleteAccount \
internalMigration migration temporaryTask unknown
domain.DomainSpecialAccountActionEnum = add change delete
domain.DomainSpecialAccountTypeEnum = 25g alias delete filter forward responder
domain.DomainStatusEnum = close ok readOnly unknown
email.domain.MigrationServiceType = EMAIL_PRO HOSTED_EXCHANGE PRIVATE_EXCHANGE PROVIDER_EXCHANGE
email.domain.MigrationCheckCodeEnum = ACCOUNT_EMPTY ACCOUNT_INPROGRESS DELEGATION_EXIST \
DOMAIN_EMPTY FILTER_EXIST FORWARD_EXIST FORWARD_LOCAL MAILINGLIST_EXIST MAILINGLIST_INPROGRESS \
MAILPROXY_BAD_INFRA MAILPROXY_EMPTY MAILPROXY_INPROGRESS MAILPROXY_RESERVATION \
REDIRECTION_INPROGRESS RESPONDER_EXIST RESPONDER_INPROGRESS UNKNOW
domain.DomainQuota : account:long alias:long mailingList:long redirection:long responder:long
domain.DomainSummary : account:long mailingList:long redirection:long responder:long
domain.DomainUsageAccountStruct : date:datetime? emailCount:long? quota:long?
email.domain.DomainService : allowedAccountSize!:long[]? domain!:string \
migratedMXPlanServiceName!:string? offer!:string? status!:domain.DomainStatusEnum
email.domain.Record : fieldType!:domain.zone.RecordTypeEnum subDomain!:string? target!:string
email.domain.Account : accountName!:string description:string domain!:string email!:string \
isBlocked!:boolean size:long
email.domain.TaskPop : action!:domain.DomainPopActionEnum date!:datetime domain!:string id!:long \
name!:string
email.domain.TaskFilter : account!:string action!:string domain!:string id!:long timestamp!:datetime
email.domain.TaskSpecialAccount : account!:string action!:domain.DomainSpecialAccountActionEnum \
date!:datetime domain!:string id!:long type!:domain.DomainSpecialAccountTypeEnum
email.domain.Filter : action!:domain.DomainFilterActionEnum? actionParam!:string? active!:boolean \
domain!:string name!:string pop!:string priority!:long
email.domain.Rule : header!:string id!:long operand!:domain.DomainFilterOperandEnum value!:string
email.domain.RedirectionGlobal : from!:string id!:string to!:string
email.domain.Responder : account!:string content:string copy!:boolean copyTo!:string? \
from:datetime? to:datetime?
email.domain.MigrationService : contactAdmin!:string contactBilling!:string contactTech!:string \
destinationServiceName!:string
email.domain.MigrationAccount : destinationEmailAddress!:string quota!:long
email.domain.MigrationCheckResultStruct : code:email.domain.MigrationCheckCodeEnum details:string?
email.domain.MigrationCheckStruct : alias:string[]? filter:string[]? forward:string[]? \
error:email.domain.MigrationCheckResultStruct[]? \
warning:email.domain.MigrationCheckResultStruct[]?
email.exchange.ObjectStateEnum = creating deleting internalMigration ok reopening suspended \
suspending
email.exchange.OvhLicenceEnum = basic enterprise standard
email.exchange.ServiceOfferEnum = dedicated dedicatedCluster hosted provider
email.exchange.ExchangeService : domain!:string hostname!:string? \
offer!:email.exchange.ServiceOfferEnum
email.exchange.Account : {_ACCOUNT.format(states=_EX_STATES)} quota:long
email.exchange.Domain : {_DOMAIN.format(states=_EX_STATES)}{_EXPECTED}
email.exchange.Task : {_TASK}
email.exchange.disclaimer : content:string
email.exchange.externalContact : externalEmailAddress:string id!:long
email.exchange.exchangeAccountProtocol : IMAP:boolean POP:boolean activeSync:boolean webMail:boolean
email.exchange.mailingList : displayName:string? mailingListAddress:string
"""
