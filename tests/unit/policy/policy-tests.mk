check_PROGRAMS += \
	tests/unit/policy/test_cidr \
	tests/unit/policy/test_classify \
	tests/unit/policy/test_explain \
	tests/unit/policy/test_names \
	tests/unit/policy/test_policy \
	tests/unit/policy/test_property \
	tests/unit/policy/test_ranges \
	tests/unit/policy/test_routes \
	tests/unit/policy/test_rules \
	$(NULL)
EXTRA_DIST += tests/unit/policy/naive.h tests/unit/policy/special.h tests/unit/policy/world.h
