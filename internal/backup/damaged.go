package backup

import (
	"slices"

	"github.com/sallyport/sallyport/internal/errkind"
)

// judge refuses a set with damaged files. If the caller chose to go on without damaged recordings, those are noted
// instead.
func (t Target) judge(s *Set, damaged []Problem) error {
	others := slices.DeleteFunc(slices.Clone(damaged), func(p Problem) bool {
		_, ok := recordingName(s.Name(), p.Path)
		return ok
	})
	if len(others) > 0 {
		return problems(s.dir, others)
	}
	if t.WithoutDamaged {
		s.leftOut, s.without = damaged, map[string]bool{}
		for _, p := range damaged {
			s.without[p.Path] = true
		}
		return nil
	}
	err := problems(s.dir, damaged)
	if k, ok := errkind.Of(err); ok {
		return k.WithHint(k.Hint + " Only recordings are damaged: --without-damaged-recordings restores everything else and " +
			"lists what is missing.")
	}
	return err
}
