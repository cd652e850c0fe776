// build.mjs           makes dist/ and the file that the gateway serves at /client.js
// build.mjs --check   makes dist/, and fails when that file is not the same
// build.mjs --dist    makes dist/ alone
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
const [mode] = process.argv.slice(2)
if (mode === undefined) copyFileSync(built, served)
else if (mode === '--check' && !content.equals(readFileSync(served))) {
  console.error('public/client.js is not made from clients/js as it is: run `npm run build` there')
  process.exitCode = 1
}
