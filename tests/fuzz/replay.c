/*
 * Replays a fuzz target's corpus as a TAP test, one line per file, so that what a fuzzer once
 * found stays found on machines without libFuzzer.
 *
 * The program tests/fuzz/fuzz_NAME reads $TOP_SRCDIR/tests/fuzz/corpus/NAME, or the directory
 * given as its argument. A finding is a crash: the plan is then short, and the test red.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1024 * 1024)

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void bail_out(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void corpus_path(char *path, size_t size, int argc, char **argv)
{
	const char *top = getenv("TOP_SRCDIR");
	const char *name = strstr(argv[0], "fuzz_");
	const char *next;

	while (name && (next = strstr(name + 1, "fuzz_")))
		name = next;
	if (argc > 1)
		snprintf(path, size, "%s", argv[1]);
	else
		snprintf(path, size, "%s/tests/fuzz/corpus/%s", top ? top : ".",
			 name ? name + strlen("fuzz_") : "");
}

static void replay(int number, const char *dir, const char *name)
{
	char path[4096];
	uint8_t *data;
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	if (!file)
		bail_out(path);
	data = malloc(INPUT_MAX);
	if (!data)
		bail_out(path);
	size = fread(data, 1, INPUT_MAX, file);
	if (ferror(file))
		bail_out(path);
	fclose(file);
	/* An exact allocation, so that a sanitizer sees the first byte read past the end. */
	data = realloc(data, size ? size : 1);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	printf("ok %d - %s\n", number, name);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	char dir[2048];
	int n;

	corpus_path(dir, sizeof(dir), argc, argv);
	n = scandir(dir, &entries, is_input, alphasort);
	if (n < 0)
		bail_out(dir);
	if (n == 0) {
		printf("Bail out! %s is empty\n", dir);
		return 1;
	}
	printf("1..%d\n", n);
	fflush(stdout);
	for (int i = 0; i < n; i++) {
		replay(i + 1, dir, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return 0;
}
