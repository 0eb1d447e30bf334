/** How long a string is in UTF-8, without making the bytes. A lone surrogate counts 3, as its replacement U+FFFD does. */
export function utf8Length(text: string): number {
	let bytes = text.length;
	for (let index = 0; index < text.length; index++) {
		const unit = text.charCodeAt(index);
		if (unit < 0x80) {
			continue;
		}
		bytes += unit < 0x800 ? 1 : 2;
		// A pair is four bytes, and two units of the length: its second half adds nothing more.
		if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) {
			index++;
		}
	}
	return bytes;
}
