// Runs the tests, or those whose file has one of the arguments in its name. They use dist/ and the
// gateway's release build, or the program in MICRO_SOCKET_BIN.
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const wanted = process.argv.slice(2)
const names = readdirSync(`${root}tests`)
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))

rmSync(`${root}build`, { recursive: true, force: true })
await build({
  entryPoints: names.map((name) => `${root}tests/${name}`),
  outdir: `${root}build`,
  bundle: true,
  packages: 'external', // the client among them: what is tested is what is served
  platform: 'node',
  format: 'esm',
  sourcemap: true,
  logLevel: 'warning',
})
const tests = names.map((name) => `build/${name.replace(/ts$/, 'js')}`)
const flags = ['--enable-source-maps', '--test', '--test-reporter=spec']
process.exitCode = spawnSync(process.execPath, [...flags, ...tests], { cwd: root, stdio: 'inherit' }).status ?? 1
