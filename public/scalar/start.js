// Starts the API reference with nothing that would leave the gateway: no fonts, proxy or telemetry
// of others, no assistant, and no tools that upload the document.
Scalar.createApiReference('#app', {
  url: '/openapi.json',
  withDefaultFonts: false,
  proxyUrl: '',
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: 'never',
  hideClientButton: true,
  defaultOpenAllTags: true,
})
