"""The scenario tables, by subject. `ALL` is every one of them."""

from tests.engine.scenarios import Scenario
from tests.engine.tables.adoption import ADOPTION
from tests.engine.tables.carrying import CARRYING
from tests.engine.tables.choosing import CHOOSING
from tests.engine.tables.deleting import DELETING
from tests.engine.tables.faults import FAULTS
from tests.engine.tables.people import PEOPLE
from tests.engine.tables.returning import RETURNING
from tests.engine.tables.states import STATES
from tests.engine.tables.underway import UNDERWAY

ALL: tuple[Scenario, ...] = (
    *(*CARRYING, *CHOOSING, *ADOPTION, *PEOPLE, *DELETING),
    *(*STATES, *FAULTS, *UNDERWAY, *RETURNING),
)
