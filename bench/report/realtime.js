// The part of the report about real-time behaviour; report.js calls drawRealtime().
'use strict';

const REALTIME_COLORS = ['#9aa5b1', '#5b6675', '#0f6fc6', '#d9772b', '#7fb77e', '#8e6bb0', '#c8553d', '#b8a13a'];

function drawHistogram(cells) {
  const bins = [...new Set(cells.flatMap((one) => Object.keys(one.figures.histogram)))].sort((one, other) => one - other);
  draw('realtime-histogram', 320, {
    title: { text: 'Intervals between ticks, in bins of 0.1 µs', left: 0, textStyle: { fontSize: 14 } },
    legend: { top: 26, left: 0, type: 'scroll' },
    tooltip: { trigger: 'axis', valueFormatter: (shown) => `${shown.toFixed(2)} %` },
    grid: { left: 8, right: 24, top: 64, bottom: 8, containLabel: true },
    xAxis: { type: 'category', data: bins, name: 'µs' },
    yAxis: { type: 'value', max: 100, axisLabel: { formatter: '{value} %' } },
    series: cells.map((one) => ({
      type: 'bar', name: one.machine, itemStyle: { color: one.color },
      data: bins.map((bin) => (100 * (one.figures.histogram[bin] ?? 0)) / one.figures.intervals.count),
    })),
  });
}

// Of each group of intervals the least and the greatest, as their distance from the ideal period.
function drawTimeline(cells) {
  const ideal = 1193e9 / 1193182;
  draw('realtime-timeline', 360, {
    title: { text: 'How far each interval is from 999,847.6 ns', left: 0, textStyle: { fontSize: 14 } },
    legend: { top: 26, left: 0, type: 'scroll', data: cells.map((one) => one.machine) },
    tooltip: { trigger: 'axis', valueFormatter: (shown) => `${shown.toFixed(1)} ns` },
    grid: { left: 8, right: 24, top: 64, bottom: 24, containLabel: true },
    xAxis: { type: 'value', name: 'tick', nameLocation: 'middle', nameGap: 26, max: 'dataMax' },
    yAxis: { type: 'value', axisLabel: { formatter: '{value} ns' } },
    series: cells.flatMap((one) => ['least', 'most'].map((end) => ({
      type: 'line', name: one.machine, symbol: 'none', lineStyle: { width: 1 }, itemStyle: { color: one.color },
      data: one.figures.timeline[end].map((interval, n) => [n * one.figures.timeline.every, interval - ideal]),
    }))),
  });
}

function drawRealtime() {
  const cells = result.cells.filter((one) => one.suite === 'realtime')
    .map((one, n) => ({ ...one, color: REALTIME_COLORS[n % REALTIME_COLORS.length] }));
  if (cells.length === 0) return hide('realtime-section');
  const timed = cells.filter((one) => one.figures.intervals);
  if (timed.length > 0) {
    drawHistogram(timed);
    drawTimeline(timed);
  } else {
    hide('realtime-histogram');
    hide('realtime-timeline');
  }
  const lengths = (of) => Object.entries(of).map(([length, count]) => `${length} (${number(count)} ×)`).join(', ') || '–';
  const fixed = (of, digits) => (of === undefined ? '–' : of.toFixed(digits));
  table('realtime-table', [['cell', 'mean, ns', 'least', 'most', 'deviation', 'lost', 'instructions before the handler: while it runs',
    'out of HLT', 'longest in the monitor', 'exits'],
    ...cells.map(({ machine, figures: of }) => [machine, fixed(of.intervals?.mean, 1), fixed(of.intervals?.least, 0), fixed(of.intervals?.most, 0),
      fixed(of.intervals?.deviation, 2), fixed(of.intervals?.lost, 0), lengths(of.arrivals.running), lengths(of.arrivals.waiting),
      number(of['longest in the monitor']),
      Object.entries(of.exits).map(([cause, count]) => `${cause.replaceAll('_', ' ')} ${number(count)}`).join(', ') || 'none'])]);
  table('realtime-published-table', [['published', 'least, µs', 'most', 'most with a flood', 'remark'],
    ...published.realtime.map((one) => [one.name, one.least, one.most, one.loaded, one.note])]);
  const claims = result['realtime claims'] ?? [];
  if (claims.length === 0) return hide('realtime-claims');
  table('realtime-claims', [['claim', 'what', '', 'measured'],
    ...claims.map((one) => [one.claim, one.what, one.met ? 'met' : '<b>not met</b>', one.figure])]);
}
