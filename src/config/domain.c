/*
 * Names in other scripts are converted by libidn2, which is loaded for the first of them: it
 * brings 2 MB of tables along, and every start would pay for what hardly any needs.
 */
#include "config/domain.h"

#include <errno.h>
#include <idn2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynlib.h"
#include "base/util.h"

#define IDN2_FUNCTIONS(X) X(idn2_lookup_u8) X(idn2_strerror) X(idn2_free)
#define DOMAIN_MAX 253
#define LABEL_MAX 63

static char *refuse(struct error *err, const char *text, const char *why)
{
	error_set(err, 0, "'%.100s' is not a domain name: %s", text, why);
	return NULL;
}

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

static void to_lower(char *text)
{
	for (; *text; text++)
		*text = ascii_lower(*text);
}

/* What is wrong with a name in ASCII, or NULL. */
static const char *complaint(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const char *label = name;
	size_t len;

	if (!*name)
		return "it is empty";
	if (strlen(name) > DOMAIN_MAX)
		return "it has more than 253 bytes";
	for (;; label += len + 1) {
		len = strcspn(label, ".");
		if (len == 0)
			return "a label is empty";
		if (len > LABEL_MAX)
			return "a label has more than 63 bytes";
		if (label[0] == '-' || label[len - 1] == '-')
			return "a label begins or ends with a hyphen";
		if (strspn(label, allowed) < len)
			return "labels are made of letters, digits and hyphens";
		if (!label[len])
			break;
	}
	/* The last label of a name is no number, that of an address is. */
	if (strspn(label, "0123456789") == len)
		return "its last part is a number";
	if (strspn(name, "0123456789-") == strlen(name))
		return "it looks like a range of ports";
	return NULL;
}

/* The name in ASCII, or NULL. */
static char *convert(const char *name, const char *text, struct error *err)
{
	static const char *const names[] = { IDN2_FUNCTIONS(DYNLIB_NAME) };
	static struct {
		IDN2_FUNCTIONS(DYNLIB_POINTER)
	} idn2;
	static const struct dynlib lib = {
		.soname = IDN2_SONAME,
		.what = "libidn2, which converts such names,",
		.names = names,
		.count = ARRAY_SIZE(names),
		.functions = &idn2,
	};
	uint8_t *ascii = NULL;
	char *copy;
	int r;

	if (dynlib_load(&lib, err) < 0) {
		error_wrap(err, "'%.100s' is not in ASCII", text);
		return NULL;
	}
	r = idn2.idn2_lookup_u8((const uint8_t *)name, &ascii,
				IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r != IDN2_OK)
		return refuse(err, text, idn2.idn2_strerror(r));
	copy = strdup((const char *)ascii);
	idn2.idn2_free(ascii);
	if (!copy)
		error_set(err, ENOMEM, "read a domain name");
	return copy;
}

char *domain_parse(const char *text, struct error *err)
{
	static const char spaces[] = " \t\r\n";
	const char *begin = text + strspn(text, spaces), *why;
	size_t len = strlen(begin);
	cleanup_free char *name = NULL;

	while (len && strchr(" \t\r\n", begin[len - 1]))
		len--;
	while (len && begin[len - 1] == '.')
		len--;
	name = strndup(begin, len);
	if (!name) {
		error_set(err, ENOMEM, "read a domain name");
		return NULL;
	}
	if (!is_ascii(name)) {
		char *copy = convert(name, text, err);

		if (!copy)
			return NULL;
		free(name);
		name = copy;
		len = strlen(name);
		/* Other scripts have full stops of their own. */
		while (len && name[len - 1] == '.')
			name[--len] = '\0';
	}
	to_lower(name);
	why = complaint(name);
	return why ? refuse(err, text, why) : steal_ptr(&name);
}
