# What restarts.test, linux-restarts.test and soak.test share: a partition that counts, beside one that is
# restarted again and again.

# counter_partition CPU: the probe guest in high memory, counting on COM2 with a time stamp to each line.
counter_partition() {
  cat <<EOT

[[partition]]
name = "counter"
cpu = $1
memory = [{ base = "272 MiB", size = "8 MiB" }]
kernel = { file = "$MEZZO_BUILD_DIR/guest/probe-high.elf" }
cmdline = "mode=count com=2"
console = "com2"
interrupts = "none"
EOT
}

count_lines() { grep -ac '^counter | count' run.txt || true; }

# Waits for 50 more lines of the counter.
see_it_count() {
  local lines
  lines=$(count_lines)
  more() { (($(count_lines) > lines + 50)); }
  wait_until 300 more
}

# Every number came once and in order. Gaps of more than 50 ms between two time stamps go to gaps.txt, as
# "number milliseconds". A busy host makes gaps at any time; what restarting causes would come with each.
check_counter() {
  local khz last='' now number stamp
  khz=$(mezzo log | grep -oE 'TSC [0-9]+' | head -1 | cut -d' ' -f2)
  expect "$(mezzo stat --json | jq -r '.partitions[1] | "\(.state) \(.restarts)"')" "running 0" counter
  grep -aoE '^counter \| count [0-9]+ tsc (0x)?[0-9a-f]+' run.txt | head -n -1 >counts.txt
  expect "$(awk '{print $4}' counts.txt)" "$(seq 1 "$(wc -l <counts.txt)")" "the counter's lines"
  while read -r _ _ _ number _ stamp; do
    now=$((16#${stamp#0x}))
    if [[ -n $last ]] && ((now - last > 50 * khz)); then echo "$number $(((now - last) / khz))"; fi
    last=$now
  done <counts.txt >gaps.txt
  echo "$(wc -l <gaps.txt) gaps of the counter in $(wc -l <counts.txt) lines"
}
