#include "cmd/audit/document.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "audit/verify/crypto.h"
#include "base/fs.h"

#define PROGRAM "yumen-audit"

const struct ym_cli_option audit_document_options[] = {
    {"trust", "FILE", YM_TEXT_AUDIT_HELP_TRUST, false},    {"objects", "DIR", YM_TEXT_AUDIT_HELP_OBJECTS, false},
    {"updates", "DIR", YM_TEXT_AUDIT_HELP_UPDATES, false}, {"checkpoint", "FILE", YM_TEXT_AUDIT_HELP_CHECKPOINT, true},
    {"out", "FILE", YM_TEXT_AUDIT_HELP_OUT_HTML, false},   {NULL, NULL, 0, false}};

static const char style[] =
    "\n:root{--ink:#1d1d1b;--soft:#5f5e58;--line:#d9d6cd;--jade:#0b5d48;--rust:#9a2f1d;--ground:#f7f5ef}\n"
    "*{box-sizing:border-box}\n"
    "html{-webkit-text-size-adjust:100%;print-color-adjust:exact;-webkit-print-color-adjust:exact}\n"
    "body{margin:0 auto;padding:2.2rem 1.6rem 4rem;max-width:52rem;color:var(--ink);background:#fff;"
    "font:16px/1.5 Charter,'Bitstream Charter','Source Serif 4',Georgia,'Noto Serif','DejaVu Serif',serif}\n"
    "[lang|=zh]{font-family:'Noto Serif CJK SC','Source Han Serif SC','Songti SC',SimSun,'Noto Sans CJK SC',serif;"
    "line-height:1.65}\n"
    "h1{font-size:1.9rem;line-height:1.15;margin:.2rem 0 .3rem;font-weight:600}\n"
    "h2{font-size:1.18rem;margin:2.4rem 0 .6rem;padding-top:.5rem;border-top:1px solid var(--ink);font-weight:600}\n"
    "h3{font-size:1rem;margin:1.5rem 0 .4rem;font-weight:600}\n"
    "p{margin:.5rem 0}\n"
    ".soft,figcaption,.note{color:var(--soft)}\n"
    ".note{font-size:.88rem}\n"
    ".switch{position:absolute;opacity:0;pointer-events:none}\n"
    ".choose{display:flex;justify-content:flex-end;gap:1.1rem;font-size:.9rem}\n"
    ".choose label{cursor:pointer;color:var(--soft);border-bottom:2px solid transparent}\n"
    "#en:checked~.choose label[for=en],#zh:checked~.choose label[for=zh]{color:var(--ink);border-color:var(--jade)}\n"
    "#en:focus-visible~.choose label[for=en],#zh:focus-visible~.choose label[for=zh]{outline:2px solid var(--jade);"
    "outline-offset:3px}\n"
    "#en:checked~article:lang(zh),#zh:checked~article:lang(en){display:none}\n"
    ".verdict{margin:1.4rem 0;padding:.9rem 1.1rem 1rem;border-left:5px solid var(--jade);background:var(--ground)}\n"
    ".verdict.open{border-color:#8a6d1d}.verdict.bad{border-color:var(--rust)}\n"
    ".verdict strong{display:block;font-size:1.12rem;margin-bottom:.2rem}\n"
    ".verdict.bad strong{color:var(--rust)}\n"
    "table{border-collapse:collapse;width:100%;margin:.6rem 0 1rem;font-size:.86rem;line-height:1.4;"
    "font-variant-numeric:tabular-nums lining-nums}\n"
    "th,td{text-align:left;vertical-align:top;padding:.28rem .7rem .28rem 0;border-bottom:1px solid var(--line);"
    "overflow-wrap:break-word}\n"
    "th{font-weight:600;border-bottom:1px solid var(--ink);vertical-align:bottom}\n"
    "th{word-break:keep-all}td.t{white-space:nowrap}td.w{overflow-wrap:anywhere}\n"
    "th.n,td.n{text-align:right;white-space:nowrap}\n"
    "th:last-child,td:last-child{padding-right:0}\n"
    "table.pairs th{border-bottom:1px solid var(--line);width:13.5rem;font-weight:400;color:var(--soft);"
    "vertical-align:top}\n"
    "table.pairs tr:last-child>*,table tr:last-child td{border-bottom:1px solid var(--ink)}\n"
    "table.pairs{border-top:1px solid var(--ink)}\n"
    "code,pre{font:.8rem/1.5 'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace;overflow-wrap:anywhere}\n"
    "pre{white-space:pre-wrap;background:var(--ground);padding:.7rem .9rem;margin:.6rem 0}\n"
    "td code{font-size:.88em}td .soft code{font-size:.8em}\n"
    "ul{padding-left:1.2rem;margin:.5rem 0}li{margin:.25rem 0}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:.6rem 1.6rem}\n"
    "figure{margin:.4rem 0}figcaption{font-size:.86rem;margin-bottom:.1rem}figcaption b{color:var(--ink)}\n"
    "svg{display:block;width:100%;height:auto;font-size:10px}\n"
    "svg text{fill:var(--soft);font-family:inherit;font-variant-numeric:tabular-nums}\n"
    "svg path{fill:none}\n"
    ".axis path{stroke:var(--ink);stroke-width:.8}.axis .grid{stroke:var(--line);stroke-width:.6}\n"
    "path.border{stroke:var(--soft);stroke-width:.7;stroke-dasharray:1 3}\n"
    "path.cap{stroke:var(--rust);stroke-width:1.3;stroke-dasharray:6 3}svg text.cap{fill:var(--rust)}\n"
    "path.spent{stroke:var(--jade);stroke-width:2}svg text.spent{fill:var(--jade);font-weight:600}\n"
    "path.certified{stroke:var(--soft);stroke-width:.9}circle.certified{fill:#fff;stroke:var(--soft)}\n"
    "svg.strip{max-width:44rem}svg .in{fill:var(--jade)}svg .out{fill:#fff;stroke:var(--rust);stroke-width:1}\n"
    ".sign{display:none}\n"
    "@media (max-width:40rem){body{padding:1rem}table{font-size:.8rem}table.pairs "
    "th{width:8rem}td.t{white-space:normal}}\n"
    "@page{size:A4;margin:17mm 17mm 19mm;"
    "@bottom-right{content:counter(page) ' / ' counter(pages);font:8pt Georgia,serif;color:#5f5e58}}\n"
    "@media print{html{font-size:12.4px}body{padding:0;max-width:none;font-size:1rem;line-height:1.42}"
    ".choose{display:none}p:has(+pre){break-after:avoid}"
    "h2{break-after:avoid;margin-top:1.6rem}h3,figcaption{break-after:avoid}"
    "tr,figure,.verdict,li{break-inside:avoid}thead{display:table-header-group}"
    ".charts{grid-template-columns:1fr 1fr}pre{break-inside:avoid}"
    ".sign{display:grid;grid-template-columns:1fr 1fr 1fr;gap:2rem;margin-top:3.2rem;break-inside:avoid;font-size:9pt}"
    ".sign span{border-top:1px solid var(--ink);padding-top:.2rem;color:var(--soft)}}\n";

const char *document_time(int64_t unix_s, char out[32])
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    if (unix_s <= 0 || !gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M", &tm) == 0)
        snprintf(out, 32, "\xe2\x80\x93");
    return out;
}

static void one_language(struct document *d, enum ym_lang lang)
{
    d->h.lang = lang;
    html_raw(&d->h, "<article lang=\"%s\">\n", lang == YM_LANG_ZH ? "zh-Hans" : "en");
    document_head(d);
    document_glance(d);
    document_studies(d);
    document_budget(d);
    document_gate(d);
    document_events(d);
    document_programs(d);
    document_limits(d);
    document_hashes(d);
    document_repeat(d);
    html_raw(&d->h, "</article>\n");
}

/* The page may use this one style sheet and nothing else: no script, no image, no font, no form. */
static void begin(struct html *h)
{
    uint8_t hash[YM_VHASH];
    struct ym_buf text = {0};
    bool zh = ym_text_lang() == YM_LANG_ZH;

    ym_vhash(style, strlen(style), hash);
    h->failed |= ym_base64_encode(hash, sizeof(hash), &text) != YM_OK;
    html_raw(h,
             "<!doctype html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s'; "
             "base-uri 'none'; form-action 'none'\">\n"
             "<meta name=\"referrer\" content=\"no-referrer\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
             zh ? "zh-Hans" : "en", ym_buf_str(&text));
    html_element_say(h, "title", YM_TEXT_DOC_TITLE);
    html_raw(h,
             "\n<style>%s</style>\n</head>\n<body>\n"
             "<input class=\"switch\" type=\"radio\" name=\"language\" id=\"en\"%s>"
             "<input class=\"switch\" type=\"radio\" name=\"language\" id=\"zh\"%s>\n"
             "<nav class=\"choose\"><label for=\"en\" lang=\"en\">English</label>"
             "<label for=\"zh\" lang=\"zh-Hans\">\xe4\xb8\xad\xe6\x96\x87</label></nav>\n",
             style, zh ? "" : " checked", zh ? " checked" : "");
    ym_buf_release(&text);
}

enum ym_code audit_document_make(const struct audit_inputs *in, const struct ym_verification *v, struct ym_buf *out,
                                 struct ym_status *st)
{
    struct document d = {.in = in, .v = v, .h = {.lang = ym_text_lang()}};
    enum ym_code code = audit_facts(v, in->objects, &d.f, st);

    if (code == YM_OK) {
        begin(&d.h);
        one_language(&d, YM_LANG_EN);
        one_language(&d, YM_LANG_ZH);
        html_raw(&d.h, "</body>\n</html>\n");
        if (d.h.failed)
            code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    }
    audit_facts_release(&d.f);
    if (code == YM_OK)
        *out = d.h.out;
    else
        ym_buf_release(&d.h.out);
    return code;
}

static enum ym_code make_file(const struct ym_cli_args *a, const struct audit_inputs *in, struct ym_verification **v,
                              struct ym_status *st)
{
    struct ym_buf page = {0};
    enum ym_code code = audit_inputs_verify(in, true, v, st);

    if (code == YM_OK)
        code = audit_document_make(in, *v, &page, st);
    if (code == YM_OK)
        code = ym_fs_write(ym_cli_get(a, "out"), ym_buf_bytes(&page), 0644, st);
    ym_buf_release(&page);
    return code;
}

int audit_document(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_verification *v = NULL;
    struct audit_inputs in = {0};
    enum ym_code code;
    int rc;

    if (!ym_cli_get(a, "out"))
        code = ym_status_set(&st, YM_INVALID, "%s", T(AUDIT_REPORT_OUT));
    else if ((code = audit_inputs_take(a, a->positional_count, &in, &st)) == YM_OK)
        code = make_file(a, &in, &v, &st);
    rc = code == YM_OK ? (int)ym_verification_verdict(v) : ym_cli_fail(PROGRAM, &st);
    ym_verification_free(v);
    audit_inputs_release(&in);
    return rc;
}
