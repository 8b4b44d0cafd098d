package templates

// doc describes what a writer does beside the annotated function.
func (w *Writer) doc() string {
	pointers := false
	var set, removed, expired, removedTags, expiredTags []string
	for _, t := range w.Targets {
		switch {
		case t.Tag != nil && t.Verb == Expire:
			expiredTags = append(expiredTags, t.text())
		case t.Tag != nil:
			removedTags = append(removedTags, t.text())
		case t.Verb == Set:
			set = append(set, t.Value+" becomes the entry of "+t.text())
		case t.Verb == Expire:
			expired = append(expired, t.text())
		default:
			removed = append(removed, t.text())
		}
		args := t.Args
		if t.Tag != nil {
			args = t.Tag.Args
		}
		pointers = pointers || len(nonNil(args)) > 0
	}
	clauses := set
	if len(removed) > 0 {
		clauses = append(clauses, entries(removed)+" deleted")
	}
	if len(expired) > 0 {
		clauses = append(clauses, entries(expired)+" expired")
	}
	if len(removedTags) > 0 {
		clauses = append(clauses, "what is tagged "+list(removedTags, "or")+" is deleted")
	}
	if len(expiredTags) > 0 {
		clauses = append(clauses, "what is tagged "+list(expiredTags, "or")+" is expired")
	}

	skipped := ""
	if pointers {
		skipped = "What could only be named through a nil pointer is left out."
	}
	failure := "If only that fails, the error wraps a [runtime.InvalidationError]."
	if len(w.Results) > 0 {
		failure = "If only that fails, the error wraps a [runtime.InvalidationError] and the results are valid."
	}
	if w.unbound() {
		failure = sentences(failure, "Before [BindCaches] it is [runtime.ErrNotBound].")
	}
	return sentences(
		w.Name+" is "+reference(w.Wrapper, w.Func)+".",
		"When it has succeeded, "+list(clauses, "and")+".",
		skipped, failure)
}

// unbound says whether the writer uses handles that BindCaches binds.
func (w *Writer) unbound() bool {
	for _, t := range w.Targets {
		if w.Wrapper == nil || t.Cache != nil && t.Cache.Wrapper == nil {
			return true
		}
	}
	return false
}

func entries(of []string) string {
	if len(of) == 1 {
		return "the entry of " + of[0] + " is"
	}
	return "the entries of " + list(of, "and") + " are"
}

// text is the target as its directive writes it.
func (t Target) text() string {
	if t.Text != "" {
		return t.Text
	}
	if t.Tag != nil {
		return t.Tag.Tag.Pattern
	}
	return t.Cache.Func
}
