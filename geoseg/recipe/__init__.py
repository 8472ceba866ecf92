"""Recipes: the steps that lead from data to a result, as data.

A recipe is a TOML file::

    title = "Landsat, blue to near infrared, over Zion"
    paper = "…"                       # and command, hardware, time: text for people
    decisions = ["…"]                 # what the paper leaves open, and what was chosen

    [set]                             # values that options name as {epochs}; --set epochs=2
    epochs = 40

    [data]                            # or a file data.toml beside the recipe, with these keys
    source = "…"                      # where it comes from
    layout = "…"                      # how it lies in the folder
    licence = "…"
    prepare = "…"                     # how to put it in place

    [[step]]
    name = "tile"                     # by default what it runs
    run = "tile"                      # a command of geoseg
    arguments = ["{data}/scene.tif"]
    output = "{out}/patches"
    options = { labels = "{data}/labels.tif", size = 128 }

    [[step]]
    run = "train"
    each = { loss = ["ce", "focal"] } # once for each; a list of tables for chosen combinations
    arguments = ["{step.tile}"]       # what the step made; of several, all of them
    output = "{out}/{loss}.safetensors"
    options = { loss = "{loss}", epochs = "{epochs}" }

    [[expected]]                      # a line of the paper's table, and where ours stands
    table = "Table 1"
    of = "cross entropy"
    score = "mIoU"
    published = 0.641
    file = "{out}/scores.json"
    key = "scores.mean_iou"           # also classes[name=forest].iou
    headline = true                   # the number to look at first

``{data}`` stands for the folder of the data, ``{out}`` for that of the results, ``{recipe}`` for
that of the recipe. Options are those of the command line without their dashes; true is a flag, a
list repeats the option. ``needs`` of a step are files that it depends on and its words do not name.

A step is done where its outputs are there and a record beside them (`record`) says that the same
words made them of the same inputs. `reading` makes a value of the file, `wiring` checks what reads
what, `planning` says what is to be done, `running` has it done, `page` tells what came out. Nothing
here knows what the commands do: who runs them says so (`running.Commands`).
"""
