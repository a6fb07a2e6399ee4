#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	err->code = code;
	err->cure[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	if (code)
		snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(code));
	return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char tail[sizeof(err->text)];
	va_list ap;
	size_t n;

	memcpy(tail, err->text, sizeof(tail));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", tail);
	return -1;
}

int error_cure(struct error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->cure, sizeof(err->cure), fmt, ap);
	va_end(ap);
	return -1;
}
