# What conformance-armv7.test and conformance-ia32.test share: a guest's report on the bare machine beside that of
# the same guest in a partition. Lines are compared whole, or only by their name if they say themselves that they
# may differ, or if a list of differences has them (NAME, a regular expression; a tab; why).

# known DIFFERENCES: the names in the list
known() { awk -F '\t' '!/^#/ && NF { print $1 }' "$1"; }
# compared REPORT KNOWN: the lines as they are compared
compared() {
  sed -n '/^conformance starts/,/^conformance ends/p' "$1" | sed 's/: .*\((by design: .*)\)$/: \1/' |
    awk -F: 'NR == FNR { known[$0]; next } { name = $1; for (k in known) if (name ~ "^" k "$") { print name; next } print }' "$2" -
}
# same BARE MONITORED KNOWN LEAST: fails unless the reports, of more than LEAST lines, are the same.
same() {
  compared "$1" "$3" >bare.lines
  compared "$2" "$3" >monitored.lines
  (($(wc -l <bare.lines) > $4)) || fail "only $(wc -l <bare.lines) cases"
  if diff bare.lines monitored.lines >differences.txt; then return; fi
  head -40 differences.txt >&2
  fail "the guest can tell: $2"
}
# still_differ BARE MONITORED KNOWN: a difference that is no longer one does not stay in the list.
still_differ() {
  while read -r name; do
    if cmp -s <(grep -aE "^$name:" "$1") <(grep -aE "^$name:" "$2"); then fail "'$name' does not differ"; fi
  done <"$3"
}
