// Writes intl.json: what ICU, by way of JavaScript's Intl, makes of the same
// values. Run with a Node.js of CLDR 48: node intl.mjs > intl.json
const languages = ['sv', 'sv-FI', 'fi', 'de', 'de-AT', 'de-CH', 'en', 'en-GB', 'en-US', 'en-IN', 'fr', 'fr-CA', 'nb', 'nn', 'da',
  'is', 'nl', 'it', 'es', 'es-MX', 'pt', 'pt-PT', 'pl', 'cs', 'ru', 'uk', 'lt', 'lv', 'et', 'hu', 'ro', 'el', 'tr', 'he',
  'ar', 'ar-EG', 'fa', 'hi', 'bn', 'th', 'vi', 'id', 'ja', 'zh', 'zh-TW', 'zh-HK', 'sr', 'sr-ME']
const styles = ['full', 'long', 'medium', 'short']
const times = ['2026-12-01T18:25:09Z', '2027-03-31T09:05:00Z']
const numbers = ['0', '7', '-7.5', '1249.00', '12345.6', '-1234567.891', '12345678901234567890.25']
const amounts = ['0', '129.90', '-1249', '0.125', '1234567.5']
const codes = ['SEK', 'EUR', 'USD', 'JPY', 'KWD', 'NOK', 'INR']
const plain = s => s.replace(/\u202f(?=\p{L})/gu, ' ')
const decimals = s => (s.split('.')[1] ?? '').length
const keyed = (keys, value) => Object.fromEntries(keys.map(k => [k, value(k)]))
const all = keyed(languages, l => {
  const base = { calendar: 'gregory', timeZone: 'UTC' }
  const date = o => keyed(times, t => plain(new Intl.DateTimeFormat(l, { ...base, ...o }).format(new Date(t))))
  const number = o => keyed(numbers, n => new Intl.NumberFormat(l, { ...o, minimumFractionDigits: decimals(n) }).format(n))
  const rules = new Intl.PluralRules(l)
  return {
    date: keyed(styles, s => date({ dateStyle: s })),
    time: keyed(['medium', 'short'], s => date({ timeStyle: s })),
    datetime: keyed(styles, s => date({ dateStyle: s, timeStyle: 'short' })),
    number: number({}),
    percent: keyed(['0.25', '-1.5', '12.345'], n => new Intl.NumberFormat(l, { style: 'percent', minimumFractionDigits: Math.max(decimals(n) - 2, 0) }).format(n)),
    currency: keyed(codes, c => keyed(c === 'JPY' ? ['0', '-1249'] : amounts, n => new Intl.NumberFormat(l, { style: 'currency', currency: c }).format(n))),
    plural: keyed(['0', '1', '2', '3', '5', '11', '21', '22', '100', '101'], n => rules.select(Number(n))),
  }
})
console.log(JSON.stringify(all, null, 1))
