package templates

import "slices"

// doc describes what a writer does besides calling the annotated function.
func (w *Writer) doc() string {
	pointers := false
	var set, removed, expired, removedTags, expiredTags, cleared []string
	once := func(list *[]string, text string) { // it may be in several stores
		if !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	for _, t := range w.Targets {
		switch {
		case t.Verb == Clear:
			once(&cleared, t.Namespace)
		case t.Tag != nil && t.Verb == Expire:
			once(&expiredTags, t.text())
		case t.Tag != nil:
			once(&removedTags, t.text())
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
		pointers = pointers || len(withoutElement(nonNil(args), t.Element)) > 0
	}
	clauses := set
	if len(removed) > 0 {
		clauses = append(clauses, entries(removed)+" deleted")
	}
	if len(expired) > 0 {
		clauses = append(clauses, entries(expired)+" expired")
	}
	if len(removedTags) > 0 {
		clauses = append(clauses, "entries tagged "+list(removedTags, "or")+" are deleted")
	}
	if len(expiredTags) > 0 {
		clauses = append(clauses, "entries tagged "+list(expiredTags, "or")+" are expired")
	}

	if len(cleared) > 0 {
		clauses = append(clauses, "namespace "+list(cleared, "and")+" is cleared")
	}

	skipped := ""
	if pointers {
		skipped = "An entry or tag that can only be named through a nil pointer is skipped."
	}
	failure := "If only the cache fails, " + w.Func + " has done its work, "
	if len(w.Results) > 0 {
		failure += "the results are valid, "
	}
	failure += "and the error wraps a [runtime.InvalidationError]."
	if w.Errors == LogErrors {
		failure = "If only the cache fails, that is logged, and the error is nil."
	}
	if w.Collect {
		failure = sentences("The caches are changed when the transaction commits that the context collects for; see [runtime.Collect].",
			"If the context does not collect, the error is [runtime.ErrNotCollected], although "+w.Func+" has done its work: then roll back.")
	}
	if from := w.boundBy(); from != "" {
		failure = sentences(failure, "Before "+from+" the error is [runtime.ErrNotBound].")
	}
	return sentences(
		w.Name+" calls "+reference(w.Wrapper, w.Func)+".",
		"If that returns no error, "+list(clauses, "and")+".",
		skipped, failure)
}

// boundBy says what binds the handles that the writer uses; empty if nothing has to.
func (w *Writer) boundBy() string {
	var from []string
	add := func(name string) {
		if !slices.Contains(from, name) {
			from = append(from, name)
		}
	}
	for _, t := range w.Targets {
		switch {
		case len(t.Call) > 0:
			add("BindCaches of " + t.Cache.Path)
		case w.Wrapper == nil || t.Cache != nil && t.Cache.Wrapper == nil:
			add("[BindCaches]")
		}
	}
	return list(from, "and")
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
