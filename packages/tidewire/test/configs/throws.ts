throw new Error("the owner's own mistake");
