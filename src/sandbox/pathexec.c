/*
 * The search of execvp(3), written out because execvp's errno can't tell a directory of
 * PATH that may not be searched (EACCES: go on, "not found") from a program that may not be
 * executed ("found"), nor a missing program from a missing interpreter (both ENOENT).
 *
 * What exists is tried by executing it: no other answer is sure. What does not is passed
 * over by stat(2), because a failing execve(2) takes half a millisecond (the kernel moves
 * the process to the idlest processor first).
 */
#include "sandbox/pathexec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

#define DEFAULT_PATH "/bin:/usr/bin" /* confstr(_CS_PATH) */
#define SHELL "/bin/sh"

static char *join(const char *dir, size_t dir_len, const char *name)
{
	char *out;

	/* An empty element of PATH is the working directory. */
	if (dir_len == 0)
		return strdup(name);
	if (asprintf(&out, "%.*s/%s", (int)dir_len, dir, name) < 0)
		return NULL;
	return out;
}

static size_t count_elements(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == ':';
	return n;
}

static int list_candidates(struct pathexec *pe, const char *name, const char *path)
{
	size_t count = 0;

	pe->candidates = calloc(count_elements(path) + 1, sizeof(char *));
	if (!pe->candidates)
		return -1;
	for (;;) {
		size_t n = strcspn(path, ":");

		pe->candidates[count] = join(path, n, name);
		if (!pe->candidates[count++])
			return -1;
		if (!path[n])
			return 0;
		path += n + 1;
	}
}

int pathexec_prepare(struct pathexec *pe, char **argv, const char *path,
		     struct error *err)
{
	size_t argc = 0;

	while (argv[argc])
		argc++;
	pe->argv = argv;
	/* sh, the script's path, argv[1...], NULL */
	pe->sh_argv = calloc(argc + 2, sizeof(char *));
	if (!pe->sh_argv)
		return error_set(err, ENOMEM, "prepare the command");
	memcpy(pe->sh_argv + 1, argv, (argc + 1) * sizeof(char *));
	pe->sh_argv[0] = (char *)SHELL;
	/* A name with a slash is a path, and an empty one is looked for nowhere. */
	pe->is_path = strchr(argv[0], '/') || !*argv[0];
	if (pe->is_path)
		path = "";
	if (list_candidates(pe, argv[0], path ? path : DEFAULT_PATH) < 0)
		return error_set(err, ENOMEM, "prepare the command");
	return 0;
}

static int run_one(const struct pathexec *pe, char *candidate, char **envp)
{
	execve(candidate, pe->argv, envp);
	if (errno != ENOEXEC)
		return errno;
	/* A script without "#!" is the shell's (POSIX, exec). */
	pe->sh_argv[1] = candidate;
	execve(SHELL, pe->sh_argv, envp);
	return errno;
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

struct pathexec_result pathexec_run(const struct pathexec *pe, char **envp)
{
	struct pathexec_result result = { .code = ENOENT };

	for (char **c = pe->candidates; *c; c++) {
		bool found = is_file(*c);
		int code;

		if (!found && !pe->is_path)
			continue;
		code = run_one(pe, *c, envp);
		if (pe->is_path)
			return (struct pathexec_result){ code, found || code != ENOENT };
		if (!result.found)
			result = (struct pathexec_result){ code, true };
		/* Only a forbidden one is passed over for one further on. */
		if (code != EACCES)
			return result;
	}
	return result;
}
