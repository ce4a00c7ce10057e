// The part of the report about ARMv7; report.js calls drawArmv7().
'use strict';

const ARMV7 = { suite: 'armv7', native: 'native-armv7', virtual: 'mezzo-armv7', name: 'Mezzo (Cortex-A9)', color: '#0f6fc6' };
const TECHNIQUES = [
  ['mezzo-armv7', 'everything on'], ['armv7-strict', 'strict user access'], ['armv7-roots', 'roots, not domains'],
  ['armv7-no-masks', 'no stubs for CPS, MRS, MSR'], ['armv7-no-thread-id', 'no stubs for TPIDRPRW'],
  ['armv7-no-domain-access', 'no stubs for DACR'], ['armv7-no-return', 'calls and returns by C++'],
  ['armv7-no-prefill', 'no neighbours filled'], ['armv7-no-table-flush', 'flushes of table entries'],
  ['armv7-no-vectors', 'handlers from their start'], ['armv7-no-interrupts', 'interrupts by C++'],
  ['armv7-no-transfers', 'transfers by C++'], ['armv7-trap-all', 'none of these'],
];
const TECHNIQUE_COLORS = ['#0f6fc6', '#7fb77e', '#3d5a80', '#d9772b', '#c8553d', '#8e6bb0', '#b8a13a', '#5fa8a8', '#c98fb0', '#6b7f99', '#a3b18a',
  '#8d5524', '#9aa5b1'];
const TECHNIQUE_OPERATIONS = ['null-syscall', 'open-close', 'pipe', 'page-fault', 'fork-exit', 'exec-busybox', 'copy-on-write'];

function armv7Ratio(machine, operation) {
  return ratio(ARMV7.suite, { native: ARMV7.native, virtual: machine }, operation);
}

function peerRatio(operation) {
  const { native, virtual } = published.armv7;
  return native[operation] ? virtual[operation] / native[operation] : undefined;
}

// What was expected of the port, as the tool has compared it; results of before have no claims.
function armv7Verdict(claim, key) {
  return claim?.[key] === undefined ? '–' : claim[key] ? 'met' : '<b>not met</b>';
}

function drawArmv7Ratios(names) {
  bars('armv7-chart', 'Instructions against the bare board', names, [
    { name: ARMV7.name, color: ARMV7.color, data: names.map((name) => armv7Ratio(ARMV7.virtual, name)) },
    { name: published.armv7.name, color: PEER, data: names.map(peerRatio) },
  ], '', { type: 'log', min: 0.5 });
  const fixed = (of, digits) => (of === undefined ? '–' : of.toFixed(digits));
  const claims = new Map((result.claims ?? []).map((claim) => [claim.operation, claim]));
  table('armv7-table', [['operation', 'bare board', 'Mezzo', 'ratio', 'expected at most', '', `ratio of ${published.armv7.name}`,
    'times better', `at least ${published.armv7.times_better}`, 'entries into the monitor'],
    ...names.map((name) => {
      const [ours, theirs, claim] = [armv7Ratio(ARMV7.virtual, name), peerRatio(name), claims.get(name)];
      return [name, number(value(ARMV7.suite, ARMV7.native, name)), number(value(ARMV7.suite, ARMV7.virtual, name)),
        fixed(ours, 3), fixed(claim?.expected, 3), armv7Verdict(claim, 'met'), fixed(theirs, 1),
        fixed(theirs && ours && theirs / ours, 1), armv7Verdict(claim, 'peer met'),
        number(figures(ARMV7.suite, ARMV7.virtual)[name]?.['monitor entries'])];
    })]);
  const stated = [...claims.values()].flatMap((claim) => [claim.met, claim['peer met']]).filter((met) => met !== undefined);
  element('armv7-claims').textContent = stated.length === 0 ? ''
    : `${stated.filter((met) => met).length} of ${stated.length} expectations are met.`;
  element('armv7-source').textContent = `${published.armv7.name}: ${published.armv7.source}.`;
  const lmbench = 'armv7-lmbench';
  if (!cell(lmbench, ARMV7.virtual) || !cell(lmbench, ARMV7.native)) return hide('armv7-lmbench-chart');
  bars('armv7-lmbench-chart', 'lmbench', operations(lmbench), [{
    name: ARMV7.name, color: ARMV7.color, data: operations(lmbench).map((name) => ratio(lmbench, ARMV7, name)),
  }]);
}

function drawArmv7Exits(names) {
  stacks('armv7-parts-chart', ARMV7.suite, [ARMV7], names,
    [['user', 'program', '#7fb77e'], ['kernel', 'kernel', '#5b8db8'], ['stubs', 'stubs', '#e0b04a'], ['monitor', 'monitor', '#c8553d']]);
  const rows = [['operation', 'entries', 'instructions of the monitor', 'exits by cause: number × instructions of each']];
  for (const name of names) {
    const of = figures(ARMV7.suite, ARMV7.virtual)[name];
    if (!of) continue;
    const spent = of['monitor by exit'] ?? {};
    const causes = Object.entries(of.exits ?? {}).filter(([, count]) => count >= 0.005)
      .sort(([one], [other]) => (spent[other] ?? 0) - (spent[one] ?? 0))
      .map(([cause, count]) => `${cause.replaceAll('_', ' ')} ${number(count)} × ${number(Math.round((spent[cause] ?? 0) / count))}`);
    rows.push([name, number(of['monitor entries']), number(of.monitor ?? 0), causes.join(', ')]);
  }
  table('armv7-exits-table', rows);
}

function drawArmv7Techniques(names) {
  const machines = TECHNIQUES.filter(([machine]) => cell(ARMV7.suite, machine));
  if (machines.length < 2) return ['chart', 'table'].forEach((part) => hide(`armv7-techniques-${part}`));
  const shown = TECHNIQUE_OPERATIONS.filter((name) => names.includes(name));
  bars('armv7-techniques-chart', 'Instructions against the bare board', shown, machines.map(([machine, title]) => ({
    name: title, color: TECHNIQUE_COLORS[TECHNIQUES.findIndex(([one]) => one === machine)],
    data: shown.map((name) => armv7Ratio(machine, name)),
  })), '', { type: 'log', min: 1 });
  table('armv7-techniques-table', [['ratio to the bare board', ...machines.map(([, title]) => title)],
    ...names.map((name) => [name, ...machines.map(([machine]) => armv7Ratio(machine, name)?.toFixed(3) ?? '–')])]);
}

function drawArmv7() {
  if (!cell(ARMV7.suite, ARMV7.native) || !cell(ARMV7.suite, ARMV7.virtual)) return hide('armv7-section');
  const names = operations(ARMV7.suite);
  drawArmv7Ratios(names);
  drawArmv7Exits(names);
  drawArmv7Techniques(names);
}
