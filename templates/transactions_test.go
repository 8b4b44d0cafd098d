package templates_test

import "github.com/cachegen/cachegen/templates"

func transactionsFile() *templates.File {
	accounts := &templates.Wrapper{
		Type: "Accounts", Name: "CachedAccounts", Constructor: "NewCachedAccounts", Param: "accounts", Pointer: true, Receiver: "c", InTx: "inTx",
	}
	rates := &templates.Wrapper{Type: "Rates", Name: "CachedRates", Constructor: "NewCachedRates", Param: "rates", Receiver: "c"}
	desk := &templates.Wrapper{
		Type: "Desk", Name: "CachedDesk", Constructor: "NewCachedDesk", Param: "desk", Pointer: true, Receiver: "c", InTx: "inTx",
	}
	cache := func(w *templates.Wrapper, entity, word string, of ...string) *templates.Cache {
		c := helpers(&templates.Cache{
			Func: "Find" + entity, Wrapper: w, Article: word, Pattern: word + ":{id}",
			Label: "transactions." + w.Type + ".Find" + entity, Variable: entity + "Definition", KeyType: entity + "Key", ParseKey: "Parse" + entity + "Key",
			Field: entity, Context: "ctx", Params: []templates.Param{param("id", "int64")}, KeyParams: []templates.Param{param("id", "int64")},
			Value: typ(of...), ValueName: word,
			Key: templates.Key{
				Fields:    []templates.Field{{Name: "ID", Source: "id", Type: typ("int64"), Form: templates.Int, Basic: "int64", Bits: 64}},
				Segments:  []templates.Segment{literal(word), value(0)},
				IntPrefix: word + ":", HasIntPrefix: true,
			},
		}, entity)
		w.Caches = append(w.Caches, c)
		return c
	}
	account, rate := cache(accounts, "Account", "account", "*Account"), cache(rates, "Rate", "rate", "Account")
	desk.Foreign = []templates.ForeignCache{{Field: "accountCache", Cache: account}}
	tx := []templates.Param{param("tx", "*", "database/sql.Tx")}
	accounts.TxMethods = []*templates.TxMethod{
		{Func: "WithTx", NoContext: true, Params: tx, Result: typ("*Accounts"), Absent: "tx"},
		{
			Func: "InTransaction", Context: "inTx", Params: []templates.Param{param("isolation", "database/sql.IsolationLevel")},
			Result: typ("Ledger"), HasError: true, Bound: templates.BoundAssert, Deprecated: "Deprecated: use WithTx.",
		},
	}
	rates.TxMethods = []*templates.TxMethod{
		{Func: "WithTx", NoContext: true, Params: tx, Result: typ("*Rates"), Absent: "tx", Bound: templates.BoundDereference},
	}
	desk.TxMethods = []*templates.TxMethod{
		{Func: "WithTx", NoContext: true, Params: tx, Result: typ("Desk"), Absent: "tx", Bound: templates.BoundAddress},
	}

	f := newFile("transactions", templates.Import{Path: "database/sql", Name: "sql"})
	f.Caches = []*templates.Cache{account, rate}
	f.Wrappers = []*templates.Wrapper{accounts, rates, desk}
	f.Handles = []templates.Handle{{Name: "accountHandle", Cache: account}}
	f.Bind = []string{"accountHandle"}
	entry := func(handle, arg0 string) templates.Target {
		return templates.Target{Cache: account, Handle: handle, Args: []templates.TagArg{arg(arg0)}, Text: "FindAccount(" + arg0 + ")"}
	}
	f.Writers = []*templates.Writer{
		{
			Func: "Pay", Name: "Pay", Label: "transactions.Accounts.Pay", Wrapper: accounts, Context: "ctx",
			Params:  []templates.Param{param("from", "int64"), param("to", "int64")},
			Targets: []templates.Target{entry("c.Account", "from"), entry("c.Account", "to")},
		},
		{
			Func: "Close", Name: "Close", Label: "transactions.Desk.Close", Wrapper: desk, Context: "ctx",
			Params:  []templates.Param{param("id", "int64")},
			Targets: []templates.Target{entry("c.accountCache", "id")},
		},
		{
			Func: "Transfer", Name: "CachedTransfer", Label: "transactions.Transfer", Context: "ctx", Collect: true,
			Params:  append(tx[:1:1], param("id", "int64")),
			Targets: []templates.Target{entry("accountHandle", "id")},
		},
	}
	return f
}
