// Writes cldr.txt out of the Unicode Consortium's JSON packages, of which the
// folder of the packages is the argument:
//
//   npm install cldr-core@48.2.0 cldr-dates-full@48.2.0 cldr-numbers-full@48.2.0
//   node cldr.mjs node_modules > ../cldr.txt
import { readFileSync } from 'node:fs'

const read = (...path) => JSON.parse(readFileSync([process.argv[2], ...path].join('/')))
const sorted = o => Object.keys(o).sort()
const pick = (from, keys) => keys.map(k => from[k] ?? '').join('|')
const supplemental = name => read('cldr-core', 'supplemental', name + '.json').supplemental
const symbolsOf = name => read('cldr-numbers-full', 'main', name, 'currencies.json').main[name].numbers.currencies

const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const months = Array.from({ length: 12 }, (_, i) => String(i + 1))
const styles = ['full', 'long', 'medium', 'short']
const numerals = supplemental('numberingSystems').numberingSystems

// A narrow space, which not every mail reader can show, becomes an ordinary one;
// a time of day such as "in the evening" becomes a half of the day; the era is
// written out.
function dates(name) {
  const g = read('cldr-dates-full', 'main', name, 'ca-gregorian.json').main[name].dates.calendars.gregorian
  const plain = s => s.replaceAll('\u202f', ' ')
  const r = {}
  for (const [suffix, context] of [['', 'format'], ['.alone', 'stand-alone']]) {
    r['months' + suffix] = pick(g.months[context].wide, months)
    r['months.short' + suffix] = pick(g.months[context].abbreviated, months)
    r['days' + suffix] = pick(g.days[context].wide, weekdays)
    r['days.short' + suffix] = pick(g.days[context].abbreviated, weekdays)
  }
  r.halves = pick(g.dayPeriods.format.abbreviated, ['am', 'pm'])
  r.dates = plain(pick(g.dateFormats, styles)).replace(/G+/g, `'${g.eras.eraAbbr['1']}'`)
  r.times = plain(pick(g.timeFormats, ['medium', 'short'])).replaceAll('B', 'a')
  r.together = pick(g['dateTimeFormats-atTime'].standard, styles)
  const unquoted = s => s.replace(/'[^']*'/g, '')
  if (/[a-zA-Z]/.test(unquoted(r.dates).replace(/[yMdEc]+/g, '') + unquoted(r.times).replace(/[hHmsa]+/g, ''))) {
    throw new Error(`${name}: a pattern has a field that package locale does not know: ${r.dates} ${r.times}`)
  }
  return r
}

function numbers(name) {
  const n = read('cldr-numbers-full', 'main', name, 'numbers.json').main[name].numbers
  const system = n.defaultNumberingSystem
  const signs = n['symbols-numberSystem-' + system]
  const format = kind => n[`${kind}Formats-numberSystem-${system}`]
  const money = format('currency'), symbols = symbolsOf(name)
  return {
    numerals: numerals[system]._digits,
    signs: pick(signs, ['decimal', 'group', 'minusSign', 'percentSign']) +
      `|${signs.currencyDecimal || signs.decimal}|${signs.currencyGroup || signs.group}`,
    patterns: [format('decimal').standard, format('percent').standard, money.standard,
      money['standard-alphaNextToNumber'] || money.standard].join('|'),
    grouping: n.minimumGroupingDigits,
    symbols: sorted(symbols).filter(c => symbols[c].symbol && symbols[c].symbol !== c)
      .map(c => `${c} ${symbols[c].symbol}`).join('|'),
  }
}

const parents = supplemental('parentLocales')
const fractions = supplemental('currencyData').currencyData.fractions
const levels = read('cldr-core', 'coverageLevels.json').effectiveCoverageLevels
const names = sorted(levels).filter(n => n !== 'und' && ['modern', 'moderate'].includes(levels[n]))
const records = Object.fromEntries(names.map(n => [n, { ...dates(n), ...numbers(n) }]))
const codes = sorted(symbolsOf('en'))
const lines = [
  `# Made by testdata/cldr.mjs from Unicode CLDR ${parents.version._cldrVersion}. See LICENSE-UNICODE.`,
  '@currencies', 'codes=' + codes.join('|'),
  'digits=' + codes.filter(c => fractions[c] && fractions[c]._digits !== '2').map(c => `${c} ${fractions[c]._digits}`).join('|'),
]
for (const name of names) {
  const parent = parents.parentLocales.parentLocale[name] ?? name.slice(0, Math.max(name.lastIndexOf('-'), 0))
  const inherited = records[parent]
  lines.push('@' + name, ...inherited ? ['parent=' + parent] : [])
  for (const key of sorted(records[name])) {
    if (inherited?.[key] !== records[name][key]) lines.push(`${key}=${records[name][key]}`)
  }
}
console.log(lines.join('\n'))
