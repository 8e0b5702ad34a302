// Package page is the web page: backups of clusters, and restores of tenants, for who has a
// token of the API or a client certificate.
//
// page.go serves the files that are embedded, as they are: there is no build step, and
// nothing comes from elsewhere. They hold no figures; all that they show, and all that they
// do, goes through the API under /api/v1 with the token of who sits there, which the browser
// keeps for as long as its tab is open.
//
//   - app.js signs in, shows what the address says behind the #, and again whenever that
//     changes; api.js asks the API; dom.js makes elements, never from text as HTML; when.js
//     reads and writes moments, sizes and durations.
//   - clusters.js shows clusters and their base backups, tenants.js the list of tenants, and
//     tenant.js one tenant; jobs.js follows jobs.
//   - restore.js is the dialog (dialog.js) in which a moment is chosen, on the slider of
//     timeline.js.
package page
