"""A server of the tests: nothing but its workers."""

import time

from sfumato.jobs import keeper
from sfumato.studio import Studio

if __name__ == "__main__":
    keeper.FIRST_PAUSE = keeper.LONGEST_PAUSE = 0.02
    Studio().workers.start()
    while True:
        time.sleep(1)
