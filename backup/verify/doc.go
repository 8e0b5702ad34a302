// Package verify reads again what a repository has, and says what of it is damaged, and how
// far it leads.
//
// A Verification's life: Run (verify.go) lists all there is, has each object read and
// compared with its sums, several at a time, and follows the WAL from each base backup on
// (reach.go). What the objects of each kind have to say is checked by the packages that write
// them. Nothing is changed.
package verify
