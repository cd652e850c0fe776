// build.mjs           makes dist/ and the file that the gateway serves at /client.js
// build.mjs --check   fails when that file is not what the sources give, or too large
import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const LIMIT = 6 * 1024
const root = fileURLToPath(new URL('..', import.meta.url))
const built = `${root}dist/client.js`
const served = `${root}../../public/client.js`
const { version, license } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

rmSync(`${root}dist`, { recursive: true, force: true })
await build({
  entryPoints: [`${root}src/index.ts`],
  outfile: built,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  banner: { js: `/*! Micro Socket client ${version}, ${license} */` },
  logLevel: 'warning',
})
const { status } = spawnSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', root], { stdio: 'inherit' })
if (status !== 0) process.exit(1)

const content = readFileSync(built)
const size = gzipSync(content, { level: 9 }).length
console.log(`note: ${(size / 1024).toFixed(1)} KiB of at most ${LIMIT / 1024} KiB compressed`)
if (size > LIMIT) {
  console.error('the client is too large')
  process.exitCode = 1
}
if (!process.argv.includes('--check')) copyFileSync(built, served)
else if (!content.equals(readFileSync(served))) {
  console.error('public/client.js is not made from clients/js as it is: run `npm run build` there')
  process.exitCode = 1
}
