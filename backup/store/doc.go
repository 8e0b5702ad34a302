// Package store keeps objects in a local directory.
package store
