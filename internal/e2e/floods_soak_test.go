//go:build soak

package e2e

import "testing"

func TestAHundredStalledFloods(t *testing.T) { stalledFloods(t, 100, 150e6) }
