#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "sandbox/pathexec.h"

/*
 * A tree of one's own, which is also the working directory:
 *   a/tool  not executable      b/tool  exits with 11     b/dir/   a directory
 *   a/dir   exits with 12       b/plain no "#!", exits with its first argument
 *   b/lost  interpreter missing closed/ may not be searched
 */
static char dir[] = "/tmp/test_pathexec.XXXXXX";

static void make_file(const char *name, const char *text, mode_t mode)
{
	cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
}

static int make_tree(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0 || chdir(dir) < 0 ||
	    mkdir("a", 0755) < 0 || mkdir("b", 0755) < 0 || mkdir("b/dir", 0755) < 0 ||
	    mkdir("closed", 0700) < 0)
		return -1;
	make_file("a/tool", "#!/bin/sh\nexit 10\n", 0644);
	make_file("b/tool", "#!/bin/sh\nexit 11\n", 0755);
	make_file("a/dir", "#!/bin/sh\nexit 12\n", 0755);
	make_file("b/plain", "exit $1\n", 0755);
	make_file("b/lost", "#!/no/such/interpreter\n", 0755);
	make_file("closed/tool", "#!/bin/sh\nexit 13\n", 0755);
	make_file("here", "#!/bin/sh\nexit 14\n", 0755);
	return chmod("closed", 0);
}

static int remove_tree(void **state)
{
	static const char *const names[] = { "a/tool", "b/tool",      "a/dir",	"b/plain",
					     "b/lost", "closed/tool", "here",	"b/dir",
					     "a",      "b",	      "closed", dir };
	int ret = chmod("closed", 0700);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ret |= remove(names[i]);
	return ret;
}

struct outcome {
	int status; /* exit status, or -1 when nothing was executed */
	struct pathexec_result why;
};

/* As a user, since root may search any directory. */
static struct outcome run(const char *name, const char *argument, const char *path)
{
	char *argv[] = { (char *)name, (char *)argument, NULL };
	char *envp[] = { NULL };
	struct outcome out = { .status = -1 };
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct pathexec pe;
		struct error err;
		struct pathexec_result why;

		if ((geteuid() == 0 && setresuid(12345, 12345, 12345) < 0) ||
		    pathexec_prepare(&pe, argv, path, &err) < 0)
			_exit(99);
		why = pathexec_run(&pe, envp);
		_exit(write(ends[1], &why, sizeof(why)) == sizeof(why) ? 98 : 99);
	}
	assert_true(pid > 0);
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 99);
	if (read(ends[0], &out.why, sizeof(out.why)) != sizeof(out.why))
		out.status = WEXITSTATUS(status);
	close(ends[0]);
	return out;
}

static void test_executed(void **state)
{
	static const struct {
		const char *name, *argument, *path;
		int status;
	} rows[] = {
		{ "tool", NULL, "b", 11 },
		{ "tool", NULL, "a:b", 11 }, /* a forbidden one is passed over */
		{ "dir", NULL, "b:a", 12 },  /* so is a directory */
		{ "tool", NULL, "closed:nowhere:b", 11 },
		{ "tool", NULL, "a/tool:b", 11 }, /* an element that is no directory */
		{ "here", NULL, "b:", 14 },	  /* an empty element is the directory */
		{ "here", NULL, "", 14 },
		{ "./here", NULL, "b", 14 },
		{ "b/tool", NULL, "nowhere", 11 },
		{ "plain", "77", "b", 77 },
		{ "./b/plain", "78", "b", 78 },
		{ "true", NULL, NULL, 0 }, /* no PATH at all */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outcome out = run(rows[i].name, rows[i].argument, rows[i].path);

		if (out.status != rows[i].status)
			fail_msg("row %zu: status %d, errno %d", i, out.status,
				 out.why.code);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *path;
		int code;
		bool found;
	} rows[] = {
		{ "nothing", "a:b", ENOENT, false },
		{ "tool", "a", EACCES, true },
		{ "tool", "nowhere:a", EACCES, true },
		{ "tool", "closed", ENOENT, false }, /* can't know: not found */
		{ "dir", "b", ENOENT, false },
		{ "lost", "b", ENOENT, true }, /* it is there, but not its interpreter */
		{ "here", "a:b", ENOENT, false },
		{ "", "b", ENOENT, false },
		{ "./nothing", "b", ENOENT, false },
		{ "./a/tool", "b", EACCES, true },
		{ "./b", "b", EACCES, true },
		{ "./b/lost", "b", ENOENT, true },
		{ "./here/x", "b", ENOTDIR, true },
		{ "closed/tool", "b", EACCES, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outcome out = run(rows[i].name, NULL, rows[i].path);

		if (out.status != -1 || out.why.code != rows[i].code ||
		    out.why.found != rows[i].found)
			fail_msg("row %zu: status %d, errno %d, found %d", i, out.status,
				 out.why.code, out.why.found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_executed),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
