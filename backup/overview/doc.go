// Package overview tells how the backups of a cluster stand: what a repository holds, in a
// form that can be shown. A Reader reads it now and then and remembers it, so that whoever
// asks does not wait for the store.
package overview
