// Starts Swagger UI. It reads OpenAPI 3.0 only, so the origin translates its document for this page.
window.SwaggerUIBundle({
  url: "/docs/openapi-3.0.json",
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null, // the validator's badge would be asked of another host
});
