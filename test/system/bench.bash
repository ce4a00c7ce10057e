# What the tests of the benchmark share.

# bench_beside ARGUMENTS: `mezzo bench` in the background, until beside_ends. It must not fail.
bench_beside() {
  timeout 900 "$MEZZO_BUILD_DIR/mezzo-tool" bench "$@" >run.txt 2>&1 </dev/null &
  run=$!
}
beside_ends() {
  wait "$run"
  run=
}

# compare_with_reference RESULT PERCENT: against the kept figures, of the cells whose guest's packages are those
# that they were measured with, and that percentage more at most. (The parts without a version are built here.)
compare_with_reference() {
  local reference=$MEZZO_SOURCE_DIR/bench/reference.json kept measured
  jq --slurpfile new "$1" 'def packages: [.parts[] | select(.version != "").sha256];
    .cells |= map(select(. as $old | any($new[0].cells[];
      .suite == $old.suite and .machine == $old.machine and packages == ($old | packages))))' "$reference" >comparable.json
  kept=$(json comparable.json '[.cells[] | "\(.suite) on \(.machine)"] | sort | join(", ")')
  measured=$(json "$1" '[.cells[] | "\(.suite) on \(.machine)"] | sort | join(", ")')
  if [[ $kept != "$measured" ]]; then
    echo "bench/reference.json was measured with other packages: compared are only $kept"
  fi
  mezzo bench --compare comparable.json "$1" --threshold "$2"
}

# expect_region COUNTS ID MEMBER VALUE WHAT: in the counting plugin's output.
expect_region() { expect "$(jq -c ".cpus[0].regions[\"$2\"].$3" "$1")" "$4" "$5"; }
