package backup

import (
	"slices"

	"github.com/sallyport/sallyport/internal/errkind"
)

// judge refuses a set with damaged files. With WithoutDamaged it refuses only damage to other files than those of
// recordings, and notes in s which files of recordings to leave out.
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
		return k.WithHint(k.Hint + " Only recordings are damaged: --without-damaged-recordings restores everything " +
			"else and lists the recordings that are missing.")
	}
	return err
}
