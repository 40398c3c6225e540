#ifndef YM_GATE_BORDER_WORDS_H
#define YM_GATE_BORDER_WORDS_H

/* The closed words of the gate, for people. In English the word itself is read and typed; in Chinese it has a name,
 * and the word stands behind it where somebody has to type it. Pure; any thread. */

enum ym_word_kind {
    YM_WORD_TRACK,
    YM_WORD_OUTCOME,
    YM_WORD_LABEL,
    YM_WORD_RECORD,
    YM_WORD_STATE,
    YM_WORD_OFFICE,
    YM_WORD_FACT
};

/* Never NULL; a word that is not of this kind comes back as it is. */
const char *ym_word_text(enum ym_word_kind kind, const char *word);

enum { YM_WORD_BYTES = 128 };

/* "伦理审查批件 ethics", in English "ethics". */
const char *ym_word_named(enum ym_word_kind kind, const char *word, char out[YM_WORD_BYTES]);

#endif
