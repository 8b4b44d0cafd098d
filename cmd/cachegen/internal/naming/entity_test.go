package naming

import (
	"os"
	"strings"
	"testing"
)

func TestEntity(t *testing.T) {
	one, many := Noun{Type: "Product"}, Noun{Type: "Product", Many: true}
	for _, test := range []struct {
		function string
		value    Noun
		want     string
	}{
		// A value of a type without a name.
		{"FindUser", Noun{}, "User"},
		{"FindUserByEmail", Noun{}, "UserByEmail"},
		{"GetByID", Noun{}, "ByID"},
		{"LoadConfig", Noun{}, "Config"},
		{"loadConfig", Noun{}, "config"},
		{"lookupURL", Noun{}, "url"},
		{"LookupURL", Noun{}, "URL"},
		{"LookUpHost", Noun{}, "Host"},
		{"User", Noun{}, "User"},
		{"Find", Noun{}, "Find"},
		{"find", Noun{}, "find"},
		{"Listing", Noun{}, "Listing"},
		{"Get2FA", Noun{}, "Get2FA"},
		{"GetOrCreateUser", Noun{}, "OrCreateUser"},
		{"ReadHTTPResponses", Noun{}, "HTTPResponses"},
		{"readHTTPResponses", Noun{}, "httpResponses"},
		{"ListÄmter", Noun{}, "Ämter"},
		{"ListCategory", Noun{}, "Category"},

		// One.
		{"FindProduct", one, "Product"},
		{"FindBestseller", one, "Bestseller"},
		{"Find", one, "Product"},
		{"find", one, "product"},
		{"FindByID", one, "ProductByID"},
		{"findByID", one, "productByID"},
		{"LoadForSale", one, "ProductForSale"},
		{"Bestseller", one, "Bestseller"},
		{"LoadByteCount", one, "ByteCount"},
		{"Get", Noun{Type: "userRow"}, "UserRow"},

		// Many, whose name reads as one.
		{"ListCategory", many, "CategoryProducts"},
		{"listCategory", many, "categoryProducts"},
		{"ListCategoryByName", many, "CategoryProductsByName"},
		{"LoadInventoryForShop", many, "InventoryProductsForShop"},
		{"SearchStatus", many, "StatusProducts"},
		{"ListAddress", many, "AddressProducts"},
		{"QueryDNS", Noun{Type: "Record", Many: true}, "DNSRecords"},
		{"FetchTop10", many, "Top10Products"},
		{"ListAll", many, "AllProducts"},
		{"ListProduct", many, "Products"},
		{"FindProductByName", many, "ProductsByName"},
		{"ListOldProduct", many, "OldProducts"},
		{"ListProduct", Noun{Type: "ProductRow", Many: true}, "ProductRows"},
		{"ListCategory", Noun{Type: "Category", Many: true}, "Categories"},
		{"ListCategory", Noun{Type: "productRow", Many: true}, "CategoryProductRows"},
		{"List", many, "Products"},
		{"list", many, "products"},
		{"ListByCategory", many, "ProductsByCategory"},

		// Many, whose name says so.
		{"ListProducts", many, "Products"},
		{"ListUsersByTeam", many, "UsersByTeam"},
		{"ListPeople", Noun{Type: "Person", Many: true}, "People"},
		{"ListProductHistory", many, "ProductHistory"},
		{"LoadProductsPage", many, "ProductsPage"},
		{"LoadURLs", many, "URLs"},
		{"Category", many, "Category"},
	} {
		if got := Entity(test.function, test.value); got != test.want {
			t.Errorf("the entity of %s, whose value is %+v, is %s, want %s", test.function, test.value, got, test.want)
		}
	}
}

// The command's reference lists the words that a function's name is read by.
func TestTheReferenceListsTheWords(t *testing.T) {
	source, err := os.ReadFile("../../main.go")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(strings.ReplaceAll(string(source), "\n//", "\n")), " ")
	for _, words := range []string{enumerated(verbs, "or"), enumerated(prepositions, "and")} {
		if !strings.Contains(text, words) {
			t.Errorf("the reference does not list %s", words)
		}
	}
}

func enumerated(words []string, last string) string {
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}
