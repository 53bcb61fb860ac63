//go:build soak

package e2e

import "testing"

// TestSoakNothingIsMissingAfterAKill is the long run: `make soak`.
func TestSoakNothingIsMissingAfterAKill(t *testing.T) { killed(t, 120) }
