"""Pages without a request to any host: of a result (`page`), of all results in a folder
(`index_page`), and what other pages are made with.

`charts` says what is drawn (specifications of Vega-Lite), `curves` from which points, `rendering`
puts a page together from templates/, which hold the words and the looks. Everything that comes from
elsewhere is escaped by the templates.
"""
