# One public table in, a test file and four hospitals' files and cards out.
#   awk -v out=DIR -f prepare.awk variables.tsv table.csv
# table.csv: 30 measurements and 0 (malignant) or 1 (benign) a row; its first
# line is a header. Rows go where two fixed hashes of their number say, so
# that everybody gets the same split.

function hash(row, multiplier) { return (row * multiplier % 4294967296) / 4294967296 }

function place(row,   h)
{
    if (hash(row, 2654435761) < 0.3)
        return "test"
    h = hash(row, 2246822519)
    return h < 0.4 ? "h1" : h < 0.7 ? "h2" : h < 0.9 ? "h3" : "h4"
}

function header(site, v)
{
    if (site == "h2")
        return chinese[v]
    if (site == "h3")
        return toupper(name[v])
    return name[v]
}

# h3 writes smoothness in percent, h4 areas in hundreds: the card's factor undoes it.
function factor(site, v)
{
    if (site == "h3" && name[v] ~ /^smoothness/)
        return "0.01"
    if (site == "h4" && name[v] ~ /^area/)
        return "100"
    return 1
}

function patient(site) { return site == "h1" ? "patient_id" : site == "h2" ? "病历号" : site == "h3" ? "MRN" : "pid" }
function outcome(site) { return site == "h2" ? "诊断" : site == "h3" ? "DIAGNOSIS" : "diagnosis" }
function malignant(site) { return site == "h2" ? "恶性" : site == "h3" ? "M" : site == "h4" ? "1" : "malignant" }
function benign(site) { return site == "h2" ? "良性" : site == "h3" ? "B" : site == "h4" ? "0" : "benign" }
function separator(site) { return site == "h4" ? ";" : "," }
function quoted(site, text) { return site == "h3" ? "\"" text "\"" : text }
function path(site) { return out "/" (site == "test" ? "test.csv" : site "/aspirates.csv.utf8") }

function write_header(site,   line, v, s)
{
    s = separator(site)
    line = site == "test" ? "" : quoted(site, patient(site)) s
    for (v = 1; v <= count; v++)
        line = line quoted(site, header(site, v)) s
    printf "%s%s%s\n", (site == "h3" ? "\357\273\277" : ""), line quoted(site, outcome(site)), (site == "h3" ? "\r" : "") > path(site)
}

function write_row(site, row,   line, v, s, f)
{
    s = separator(site)
    line = site == "test" ? "" : sprintf("%s-%04d%s", toupper(site), row, s)
    for (v = 1; v <= count; v++) {
        f = factor(site, v)
        line = line (f == 1 ? $v : sprintf("%.9g", $v / f)) s
    }
    printf "%s%s%s\n", line, quoted(site, $(count + 1) == 0 ? malignant(site) : benign(site)), (site == "h3" ? "\r" : "") > path(site)
}

function write_card(site, title, size,   v, card)
{
    card = out "/" site "/card.yaml"
    print "yumen: card/1" > card
    print "name: aspirates" > card
    print "title: " title > card
    print "file: aspirates.csv" > card
    print "encoding: " (site == "h2" ? "gb18030" : "utf-8") > card
    print "separator: \"" separator(site) "\"" > card
    print "patient_column: " patient(site) > card
    print "size_class: \"" size "\"" > card
    print "tier: general" > card
    print "variables:" > card
    for (v = 1; v <= count; v++)
        printf "  - {name: %s, column: %s%s, low: %s, high: %s}\n", name[v], header(site, v), \
            (factor(site, v) == 1 ? "" : ", factor: " factor(site, v)), least[v], most[v] > card
    printf "  - {name: diagnosis, column: %s, map: {\"%s\": benign, \"%s\": malignant}, levels: [benign, malignant]}\n", \
        outcome(site), benign(site), malignant(site) > card
    close(card)
}

BEGIN { FS = "\t" }
FNR == 1 { file++ }
file == 1 && !/^#/ { count++; name[count] = $1; low[count] = $2; high[count] = $3; least[count] = $4; most[count] = $5; chinese[count] = $6 }
file == 2 && FNR == 1 {
    FS = ","
    for (i = 1; i <= 4; i++)
        write_header("h" i)
    write_header("test")
    next
}
file == 2 && NF == count + 1 { row++; write_row(place(row), row) }
END {
    write_card("h1", "Fine needle aspirates of the breast clinic", "100-499")
    write_card("h2", "乳腺细针穿刺", "100-499")
    write_card("h3", "Breast aspirates, export of the pathology system", "<100")
    write_card("h4", "Breast aspirates of the outpatient department", "<100")
    for (v = 1; v <= count; v++)
        printf "    - {name: %s, low: %s, high: %s}\n", name[v], low[v], high[v] > (out "/inputs.yaml")
}
