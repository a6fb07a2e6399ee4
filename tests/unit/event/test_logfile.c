/* Lines go out whole or are counted; nothing that can happen to the file makes anybody wait. */
#include "event/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/util.h"

static struct {
	char dir[32], path[64];
	struct counters counters;
	struct logfile log;
	struct error err;
} t;

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.log.fd = -1;
	strcpy(t.dir, "/tmp/logfile-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/log", t.dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	logfile_close(&t.log);
	unlink(t.path);
	return rmdir(t.dir);
}

static void line(const char *text)
{
	logfile_line(&t.log, text, strlen(text));
}

static void assert_content(const char *expected)
{
	char got[256] = "";
	int fd = open(t.path, O_RDONLY);

	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	assert_string_equal(got, expected);
}

static void a_file_is_private_and_begins_empty(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(logfile_open(&t.log, t.path, &t.counters, &t.err), 0);
	line("one");
	logfile_close(&t.log);
	assert_int_equal(logfile_open(&t.log, t.path, &t.counters, &t.err), 0);
	line("two");
	line("three");
	assert_int_equal(fstat(t.log.fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(fcntl(t.log.fd, F_GETFD) & FD_CLOEXEC);
	assert_content("two\nthree\n");
	assert_int_equal(t.counters.lost_records, 0);
}

static void two_writers_never_mix(void **state)
{
	struct logfile other;

	(void)state;
	assert_int_equal(logfile_open(&t.log, t.path, &t.counters, &t.err), 0);
	other = t.log;
	line("one");
	logfile_line(&other, "two", 3);
	line("three");
	assert_content("one\ntwo\nthree\n");
}

static void a_link_is_not_followed(void **state)
{
	char target[80];

	(void)state;
	snprintf(target, sizeof(target), "%s/target", t.dir);
	assert_int_equal(symlink(target, t.path), 0);
	assert_int_equal(logfile_open(&t.log, t.path, &t.counters, &t.err), -1);
	assert_int_equal(t.err.code, ELOOP);
	assert_non_null(strstr(t.err.cure, "symbolic link"));
	assert_int_equal(access(target, F_OK), -1);
}

static void a_short_write_spoils_one_line(void **state)
{
	struct rlimit old, six = { 6, RLIM_INFINITY };

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	six.rlim_max = old.rlim_max;
	assert_int_equal(logfile_open(&t.log, t.path, &t.counters, &t.err), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &six), 0);
	line("one");
	line("two");
	assert_int_equal(t.counters.lost_records, 1);
	assert_true(t.counters.log_torn);
	line("not at all");
	assert_int_equal(t.counters.lost_records, 2);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	line("four");
	assert_int_equal(t.counters.lost_records, 2);
	assert_false(t.counters.log_torn);
	line("five");
	assert_content("one\ntw\nfour\nfive\n");
}

static void a_full_device_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(logfile_open(&t.log, "/dev/full", &t.counters, &t.err), 0);
	assert_false(t.counters.log_warned);
	line("one");
	line("two");
	assert_int_equal(t.counters.lost_records, 2);
	assert_true(t.counters.log_warned);
	assert_false(t.counters.log_torn);
}

static void a_pipe_never_makes_wait(void **state)
{
	static char text[3000];
	char got[4096];
	int ends[2];
	uint64_t lost;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(logfile_take(&t.log, ends[1], &t.counters, &t.err), 0);
	/* The caller's own end still waits: its flags are its own. */
	assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
	for (int i = 0; i < 1000 && !t.counters.lost_records; i++)
		line(text);
	assert_int_equal(t.counters.lost_records, 1);
	while (read(ends[0], got, sizeof(got)) == sizeof(got))
		if (!t.counters.log_torn)
			break;
	lost = t.counters.lost_records;
	line("after");
	assert_int_equal(t.counters.lost_records, lost);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	line("nobody");
	assert_int_equal(t.counters.lost_records, lost + 1);
	close(ends[1]);
}

static void a_socket_never_makes_wait(void **state)
{
	static char text[3000];
	char got[8] = "";
	int ends[2];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(logfile_take(&t.log, ends[1], &t.counters, &t.err), 0);
	line("one");
	assert_int_equal(read(ends[0], got, sizeof(got)), 4);
	assert_string_equal(got, "one\n");
	for (int i = 0; i < 10000 && !t.counters.lost_records; i++)
		line(text);
	assert_int_equal(t.counters.lost_records, 1);
	close(ends[0]);
	line("nobody");
	assert_int_equal(t.counters.lost_records, 2);
	close(ends[1]);
}

static void only_what_can_be_written_is_taken(void **state)
{
	int fd = open("/dev/null", O_RDONLY),
	    ours = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(logfile_take(&t.log, fd, &t.counters, &t.err), -1);
	assert_non_null(strstr(t.err.text, "can't be written to"));
	assert_int_equal(logfile_take(&t.log, ours, &t.counters, &t.err), -1);
	assert_int_equal(logfile_take(&t.log, 99999, &t.counters, &t.err), -1);
	assert_non_null(strstr(t.err.text, "99999 is not open"));
	close(fd);
	close(ours);
}

/* Shared with the caller, offset and all: its file may have a beginning that stays. */
static void a_given_file_stays_as_it_is(void **state)
{
	int fd = open(t.path, O_RDWR | O_CREAT, 0644);

	(void)state;
	assert_int_equal(write(fd, "before\n", 7), 7);
	assert_int_equal(logfile_take(&t.log, fd, &t.counters, &t.err), 0);
	line("one");
	assert_int_equal(write(fd, "after\n", 6), 6);
	close(fd);
	assert_content("before\none\nafter\n");
}

static blkcnt_t blocks(void)
{
	struct stat st;

	assert_int_equal(fstat(t.log.fd, &st), 0);
	return st.st_blocks;
}

/* What its reader has taken needs no memory; what nobody takes has a bound. */
static void memory_is_bounded(void **state)
{
	static char text[1 << 20];
	const uint64_t step = sizeof(text);
	blkcnt_t full;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(logfile_memory(&t.log, &t.counters, &t.err), 0);
	for (uint64_t n = 0; n < LOGFILE_MEMORY_MAX; n += step)
		line(text);
	assert_int_equal(t.counters.lost_records, 0);
	line("one more");
	assert_int_equal(t.counters.lost_records, 1);
	full = blocks();
	logfile_taken(&t.log, LOGFILE_MEMORY_MAX / 2);
	assert_true(blocks() <= full / 2);
	line("and another");
	assert_int_equal(t.counters.lost_records, 1);
	logfile_taken(&t.log, t.counters.log_written);
	assert_true(blocks() <= sysconf(_SC_PAGESIZE) / 512);
	assert_int_equal(lseek(t.log.fd, 0, SEEK_END), t.counters.log_written);
}

int main(void)
{
#define WITH_FILE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FILE(a_file_is_private_and_begins_empty),
		WITH_FILE(two_writers_never_mix),
		WITH_FILE(a_link_is_not_followed),
		WITH_FILE(a_short_write_spoils_one_line),
		WITH_FILE(a_full_device_is_told_once),
		WITH_FILE(a_pipe_never_makes_wait),
		WITH_FILE(a_socket_never_makes_wait),
		WITH_FILE(only_what_can_be_written_is_taken),
		WITH_FILE(a_given_file_stays_as_it_is),
		WITH_FILE(memory_is_bounded),
	};

	log_init(LOG_LEVEL_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
