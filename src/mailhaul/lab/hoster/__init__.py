"""A hoster on one machine: accounts on real mail servers, tasks that take time, one MX.

`python -m mailhaul.lab.hoster DIRECTORY` runs it on what `DIRECTORY/hoster.json` says (`setup`); it
is spoken to by `providers.lab`. What it knows lies in `DIRECTORY/hoster.sqlite` (`books`), so that
it may be killed at any moment; what its tasks do (`work`) can be done twice. It keeps passwords in
clear and answers whoever has its token: for rehearsals only.
"""
