// render: pictures of job summaries, as GitHub shows them in light and dark, on a desktop and on a phone.
//
//   npm --prefix docs/render start [-- [--out DIR] [--open] [FILE.md ...]]   all goldens, into docs/render/out
//   npm --prefix docs/render run readme                                      the README's pictures, into docs/
//
// Needs Node 20 and, on Debian: apt-get install chromium fonts-liberation fonts-noto-color-emoji
// CHROMIUM is the path of another browser. Without the fonts, lines wrap elsewhere and emoji are boxes. --open unfolds <details>.
//
// remark and rehype, not cmark-gfm or marked: they follow the GFM spec, parse raw HTML as a browser does, sanitize it by
// GitHub's own list of elements, and highlight code with GitHub's grammars. Mentions and issue links are not made.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import rehypeRaw from 'rehype-raw'
import rehypeSanitize from 'rehype-sanitize'
import rehypeStarryNight from 'rehype-starry-night'
import rehypeStringify from 'rehype-stringify'
import remarkGfm from 'remark-gfm'
import remarkParse from 'remark-parse'
import remarkRehype from 'remark-rehype'
import { unified } from 'unified'
import UPNG from 'upng-js'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const goldens = here('../../testdata/summaries/')

const themes = ['light', 'dark']
const widths = { wide: 1000, narrow: 400 } // CSS pixels

// The README shows these at half their size, so that they are sharp on a high-density screen.
const readme = { published: 'published.md', failed: 'refused.md' }
const readmeWidth = 640
const readmeColours = 64
const readmeBytes = 60_000

const css = Object.fromEntries(
  themes.map((theme) => [theme, readFileSync(here(`node_modules/github-markdown-css/github-markdown-${theme}.css`), 'utf8')]),
)

const markdown = unified()
  .use(remarkParse)
  .use(remarkGfm)
  .use(remarkRehype, { allowDangerousHtml: true })
  .use(rehypeRaw)
  .use(rehypeSanitize)
  .use(rehypeStarryNight)
  .use(rehypeStringify)

const document = (theme, body) => `<!doctype html><meta charset="utf-8"><style>${css[theme]}
  body { margin: 0; padding: 16px; background: ${theme === 'dark' ? '#0d1117' : '#fff'} }
  .box { padding: 16px; border: 1px solid ${theme === 'dark' ? '#3d444d' : '#d1d9e0'}; border-radius: 6px }
  .sheet { column-gap: 16px }
  figure { margin: 0 0 16px; break-inside: avoid; font: 20px sans-serif; color: #888 }
  figure img { display: block; max-width: 100% }
</style>${body}`

const newPage = (browser, theme, width, scale = 1) =>
  browser.newPage({ viewport: { width, height: 100 }, deviceScaleFactor: scale, colorScheme: theme })

const box = async (file) => `<div class="box"><article class="markdown-body">${await markdown.process(readFileSync(file))}</article></div>`

async function pictures(browser, files, out, open) {
  mkdirSync(out, { recursive: true })
  const boxes = await Promise.all(files.map(box))
  for (const theme of themes) {
    for (const [name, width] of Object.entries(widths)) {
      const page = await newPage(browser, theme, width)
      const figures = []
      for (const [i, file] of files.entries()) {
        await page.setContent(document(theme, boxes[i]))
        if (open) await page.$$eval('details', (all) => all.forEach((e) => { e.open = true }))
        const title = basename(file, '.md')
        const png = await page.screenshot({ fullPage: true, path: join(out, `${title}-${name}-${theme}.png`) })
        figures.push(`<figure>${title}<img src="data:image/png;base64,${png.toString('base64')}"></figure>`)

        const scrolls = await page.$$eval('table, pre', (all) =>
          all.filter((e) => e.scrollWidth > e.clientWidth).map((e) => `${e.localName} by ${e.scrollWidth - e.clientWidth} px`))
        if (scrolls.length > 0 && theme === themes[0]) console.log(`${title} at ${width} px scrolls sideways: ${scrolls.join(', ')}`)
      }
      const columns = Math.min(files.length, Math.round(2800 / width))
      await page.setViewportSize({ width: columns * (width + 16) + 16, height: 100 })
      await page.setContent(document(theme, `<div class="sheet" style="columns: ${columns}">${figures.join('')}</div>`))
      await page.screenshot({ fullPage: true, path: join(out, `all-${name}-${theme}.png`) })
      await page.close()
    }
  }
  console.log(`Pictures of ${files.length} in ${out}; all-*.png are the contact sheets`)
}

async function readmePictures(browser) {
  for (const theme of themes) {
    const page = await newPage(browser, theme, readmeWidth, 2)
    for (const [name, golden] of Object.entries(readme)) {
      await page.setContent(document(theme, await box(join(goldens, golden))))
      const image = UPNG.decode(await page.screenshot({ fullPage: true }))
      const small = Buffer.from(UPNG.encode(UPNG.toRGBA8(image), image.width, image.height, readmeColours))
      const file = here(`../summary-${name}${theme === 'dark' ? '-dark' : ''}.png`)
      if (small.length > readmeBytes) throw new Error(`${file} would have ${small.length} bytes, ${readmeBytes} are allowed`)
      writeFileSync(file, small)
      console.log(`${file}: ${image.width} × ${image.height}, ${small.length} bytes`)
    }
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string' }, open: { type: 'boolean' }, readme: { type: 'boolean' } },
})
const fromCaller = (path) => resolve(process.env.INIT_CWD ?? '.', path) // npm --prefix changes the directory
const files = positionals.length > 0
  ? positionals.map(fromCaller)
  : readdirSync(goldens).filter((name) => name.endsWith('.md')).sort().map((name) => join(goldens, name))

const onPath = process.env.PATH.split(delimiter).map((dir) => join(dir, 'chromium')).find(existsSync)
const executablePath = process.env.CHROMIUM ?? onPath
if (!executablePath) throw new Error('no chromium on PATH: install it, or give the path of another browser in CHROMIUM')
const browser = await chromium.launch({ executablePath })
try {
  if (values.readme) await readmePictures(browser)
  else await pictures(browser, files, values.out ? fromCaller(values.out) : here('out'), values.open)
} finally {
  await browser.close()
}
