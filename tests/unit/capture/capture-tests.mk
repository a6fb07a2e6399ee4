check_PROGRAMS += \
	tests/unit/capture/test_capfile \
	tests/unit/capture/test_cut \
	tests/unit/capture/test_egress \
	tests/unit/capture/test_keys \
	tests/unit/capture/test_pcapng \
	$(NULL)

tests_unit_capture_test_capfile_SOURCES = tests/unit/capture/test_capfile.c tests/unit/capture/blocks.h
capture_frames = tests/unit/capture/frames.h tests/unit/capture/blocks.h
tests_unit_capture_test_cut_SOURCES = tests/unit/capture/test_cut.c $(capture_frames)
tests_unit_capture_test_egress_SOURCES = tests/unit/capture/test_egress.c $(capture_frames)
tests_unit_capture_test_keys_SOURCES = tests/unit/capture/test_keys.c tests/unit/capture/blocks.h
tests_unit_capture_test_pcapng_SOURCES = tests/unit/capture/test_pcapng.c tests/unit/capture/blocks.h
