//go:build soak

package testenv

// programTags adds what a soak reads from its programs: cmd/sallyport/usage_soak.go.
const programTags = "sqlite_fts5 soak"
