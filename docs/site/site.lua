-- The filter of docs/site.sh: links between pages become .html, pictures are put into the page, two programs that are
-- to be compared stand side by side. What else is linked is written to a list, to become a page of its own.
local dir, list, titled
local figures = 0

function Meta(meta)
    dir = pandoc.utils.stringify(meta.dir)
    list = pandoc.utils.stringify(meta.list)
end

local function resolve(path)
    local parts = {}
    for part in (dir .. "/" .. path):gmatch("[^/]+") do
        if part == ".." then table.remove(parts)
        elseif part ~= "." then parts[#parts + 1] = part end
    end
    return table.concat(parts, "/")
end

local function note(path)
    local file = assert(io.open(list, "a"))
    file:write(path, "\n")
    file:close()
end

local function is_folder(path)
    local file = io.open(path)
    local _, _, error = (file or { read = function() end }):read(1)
    if file then file:close() end
    return error == 21 -- EISDIR
end

local function rewrite(target)
    if target:match("^%a+:") or target:match("^#") or target == "" then return target end
    local path, fragment = target:match("^([^#]*)(.*)$")
    if path:match("README[^/]*%.md$") then
        path = path:gsub("README([^/]*)%.md$", "index%1.html")
    elseif path:match("%.md$") then
        path = path:gsub("%.md$", ".html")
    else
        path = path:gsub("/$", "")
        note(resolve(path))
        path = path .. (is_folder(resolve(path)) and "/index.html" or ".html")
    end
    return path .. fragment
end

function Link(link)
    link.target = rewrite(link.target)
    return link
end

-- The rules of a style sheet, for what is inside the element `id` only.
local function scope(css, id)
    return (css:gsub("%s*([^{}]+)(%b{})", function(head, body)
        if head:match("^@") then return head .. "{" .. scope(body:sub(2, -2), id) .. "}" end
        return head:gsub("[^,]+", function(one) return "#" .. id .. " " .. one:match("^%s*(.-)%s*$") end) .. body
    end))
end

-- An SVG within the page: its text is text, its tooltips work. Names and rules in it are made its own.
local function svg(image)
    local file = io.open(resolve(image.src))
    if not file then return nil end
    local text = file:read("a")
    file:close()
    figures = figures + 1
    local id = "figure" .. figures
    local alt = pandoc.utils.stringify(image.caption):gsub("&", "&amp;"):gsub('"', "&quot;"):gsub("<", "&lt;")
    text = text:gsub("^.-(<svg)", "%1"):gsub(' id="', ' id="' .. id .. "-"):gsub("url%(#", "url(#" .. id .. "-")
    text = text:gsub("<style>(.-)</style>", function(css) return "<style>" .. scope(css, id) .. "</style>" end):gsub('%s+role="img"', "", 1)
    local width = text:match('<svg[^>]- width="(%d+)"') or text:match('viewBox="%S+ %S+ (%d+)') or "700"
    return text:gsub("<svg", '<svg id="' .. id .. '" role="img" aria-label="' .. alt .. '" style="min-width:min(' .. width .. 'px,36rem)"', 1)
end

function Image(image)
    if image.src:match("%.svg$") then
        local text = svg(image)
        if text then return pandoc.RawInline("html", text) end
    elseif not image.src:match("^%a+:") then
        note(resolve(image.src))
    end
end

function Para(para)
    if #para.content == 1 and para.content[1].t == "Image" and para.content[1].src:match("%.svg$") then
        local text = svg(para.content[1])
        if text then return pandoc.RawBlock("html", "<figure>" .. text .. "</figure>") end
    end
end

local function embedded(block)
    return block and block.t == "RawBlock" and block.text:match("^<!%-%- embed (%S+)")
end

local function is_end(block)
    return block and block.t == "RawBlock" and block.text:match("^<!%-%- end %-%->")
end

-- <!-- embed a_callback.c --> code <!-- end --> [text] <!-- embed a_coroutine.c --> code <!-- end -->
local function pair(blocks, i)
    local first = embedded(blocks[i])
    if not first or not is_end(blocks[i + 2]) then return end
    local j = i + 3
    local between
    if not embedded(blocks[j]) then between = blocks[j]; j = j + 1 end
    local second = embedded(blocks[j])
    if not second or not is_end(blocks[j + 2]) or (between and between.t ~= "Para") then return end
    local kinds = { first:match("callback") or first:match("coroutine"), second:match("callback") or second:match("coroutine") }
    if not kinds[1] or not kinds[2] or kinds[1] == kinds[2] then return end
    local function side(path, code)
        return pandoc.Div({ pandoc.Para({ pandoc.Code(path) }), code })
    end
    local both = pandoc.Div({ side(first, blocks[i + 1]), side(second, blocks[j + 1]) }, pandoc.Attr("", { "pair" }))
    return between, both, j + 3
end

function Pandoc(document)
    local out, i = {}, 1
    local blocks = document.blocks
    while i <= #blocks do
        local between, both, next = pair(blocks, i)
        if both then
            if between then out[#out + 1] = between end
            out[#out + 1] = both
            i = next
        else
            if not titled and blocks[i].t == "Header" and blocks[i].level == 1 then
                titled = true
                document.meta.pagetitle = pandoc.MetaString(pandoc.utils.stringify(blocks[i]))
            end
            out[#out + 1] = blocks[i]
            i = i + 1
        end
    end
    document.blocks = out
    return document
end

return { { Meta = Meta }, { Para = Para }, { Link = Link, Image = Image }, { Pandoc = Pandoc } }
