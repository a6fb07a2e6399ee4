# tests/unit/ROOM/test_MODULE.c mirrors src/ROOM/MODULE.c: one cmocka group per program.
# A test is one line in its room's fragment: check_PROGRAMS += tests/unit/ROOM/test_MODULE

include tests/unit/base/base-tests.mk
include tests/unit/capture/capture-tests.mk
include tests/unit/cmd/cmd-tests.mk
include tests/unit/config/config-tests.mk
include tests/unit/dial/dial-tests.mk
include tests/unit/dns/dns-tests.mk
include tests/unit/event/event-tests.mk
include tests/unit/flow/flow-tests.mk
include tests/unit/netif/netif-tests.mk
include tests/unit/policy/policy-tests.mk
include tests/unit/sandbox/sandbox-tests.mk
