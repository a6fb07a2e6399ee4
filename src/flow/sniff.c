#include "flow/sniff.h"

#include <string.h>

#include "base/util.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

static bool is_host_octet(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool sniff_take_name(const uint8_t *text, size_t len, char name[static SNIFF_NAME_MAX])
{
	size_t label = 0;

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len >= SNIFF_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = ascii_lower(text[i]);

		if (c == '.' ? !label : !is_host_octet(c) || label == LABEL_MAX)
			return false;
		label = c == '.' ? 0 : label + 1;
		name[i] = c;
	}
	name[len] = '\0';
	return label > 0;
}

enum sniff_result sniff_first_bytes(const uint8_t *b, size_t len,
				    char name[static SNIFF_NAME_MAX])
{
	enum sniff_result r = sniff_tls(b, len, name);

	return r == SNIFF_NOT_THIS_PROTOCOL ? sniff_http(b, len, name) : r;
}
