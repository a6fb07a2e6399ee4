check_PROGRAMS += \
	tests/unit/sandbox/test_hostaddrs \
	tests/unit/sandbox/test_hostaddrs_kernel \
	tests/unit/sandbox/test_idmap \
	tests/unit/sandbox/test_netlink \
	tests/unit/sandbox/test_nsswitch \
	tests/unit/sandbox/test_pathexec \
	tests/unit/sandbox/test_preflight \
	tests/unit/sandbox/test_procs \
	tests/unit/sandbox/test_proto \
	tests/unit/sandbox/test_seccomp \
	$(NULL)
