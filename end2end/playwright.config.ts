// Starts the release binary in an empty folder, so that nothing but the binary itself can serve the page.
import { accessSync, constants, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { defineConfig } from '@playwright/test'

const port = Number(process.env.MICRO_SOCKET_PORT ?? 3917)
const baseURL = `http://127.0.0.1:${port}`
const binary = resolve(process.env.MICRO_SOCKET_BIN ?? '../target/release/micro-socket')
const folder = join(tmpdir(), 'micro-socket-end2end')
mkdirSync(folder, { recursive: true })

/** $CHROMIUM, or a Chromium or Chrome on PATH. */
function chromium(): string {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
  if (process.env.CHROMIUM) names.unshift(process.env.CHROMIUM)
  const folders = (process.env.PATH ?? '').split(delimiter)
  for (const program of names.flatMap((name) => (name.includes('/') ? [name] : folders.map((f) => join(f, name))))) {
    try {
      accessSync(program, constants.X_OK)
      return program
    } catch {}
  }
  throw new Error('no Chromium found: install it, or set CHROMIUM to its program')
}

export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results',
  fullyParallel: true,
  forbidOnly: Boolean(process.env.CI),
  retries: 0,
  workers: 2,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: 'line',
  snapshotPathTemplate: '{testDir}/{testFileName}-snapshots/{arg}{ext}',
  use: {
    baseURL,
    browserName: 'chromium',
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: chromium(),
      args: [
        ...['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-domain-reliability', '--disable-sync', '--no-first-run'],
        // Where an address is shown in a picture, it is this one.
        `--host-resolver-rules=MAP localhost:3000 127.0.0.1:${port}`,
        // Letters have the same edges whatever the machine's settings are.
        ...['--font-render-hinting=none', '--disable-lcd-text', '--force-color-profile=srgb'],
      ],
    },
  },
  webServer: {
    // However slow the tests are, no topic of theirs is forgotten: a fresh one would begin behind its last number.
    command: `exec "${binary}" --addr 127.0.0.1:${port} --history-ttl 60m`,
    cwd: folder,
    url: `${baseURL}/readyz`,
    timeout: 20_000,
    reuseExistingServer: false,
    gracefulShutdown: { signal: 'SIGTERM', timeout: 5_000 },
  },
})
