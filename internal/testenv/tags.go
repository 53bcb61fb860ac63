//go:build !soak

package testenv

// programTags are the build tags of the programs under test.
const programTags = "sqlite_fts5"
