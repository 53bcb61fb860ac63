//go:build soak

package testenv

// programTags adds the measurements that a soak reads from its programs: cmd/sallyport/usage_soak.go.
const programTags = "sqlite_fts5 soak"
