// Package export keeps exports in an object store: the files of a logical copy of one
// tenant, compressed, encrypted, and whole or not there at all.
//
// An export's life: NewID (id.go) names it. Put (put.go) makes one tar archive of its
// files, cuts it into sealed parts (parts.go) and at last stores a manifest
// (manifest.go): from then on the export is there, and List shows it. Verify (read.go)
// reads its parts again, without a key; Fetch unpacks them into a folder, with one.
// Remove and Abandon (sweep.go) leave nothing of it; Sweep finds what nobody has
// abandoned who should have.
//
// What is where in the store, and why nothing is half there, is in ../FORMAT.md. What
// the files mean is the caller's business.
package export
